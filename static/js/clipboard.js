// Copying text, also over plain HTTP, where browsers give pages no clipboard; and saying in a button that it was done.
export const copyText = async (text) => {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  const { activeElement } = document;
  // Beside what has the focus: a dialog keeps it within.
  (activeElement?.closest("dialog") ?? document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  activeElement?.focus({ preventScroll: true });
  if (!copied) throw new Error("not copied");
};

const said = new WeakMap();
export const say = (button, word) => {
  const label = button.querySelector("[data-label]") || button;
  const earlier = said.get(label);
  clearTimeout(earlier?.timer);
  const before = earlier?.before ?? label.textContent;
  label.textContent = word;
  const timer = setTimeout(() => {
    label.textContent = before;
    said.delete(label);
  }, 2000);
  said.set(label, { before, timer });
};
