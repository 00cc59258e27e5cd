// Renames in place: the pen shows the form, Enter saves, Esc restores.
const form = document.querySelector("form.rename");
const pen = document.querySelector("[data-rename]");
if (form && pen) {
  const heading = document.querySelector(".session-head h1");
  const input = form.querySelector("input[name=title]");
  const show = (editing) => {
    form.hidden = !editing;
    heading.hidden = editing;
    pen.hidden = editing;
    (editing ? input : pen).focus();
    if (editing) input.select();
  };
  pen.addEventListener("click", () => show(true));
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    input.value = input.defaultValue;
    show(false);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const response = await fetch(form.dataset.api, {
      method: "PATCH",
      headers: { "Content-Type": "application/json", "X-CSRFToken": form.csrfmiddlewaretoken.value },
      body: JSON.stringify({ title: input.value }),
    }).catch(() => null);
    if (!response?.ok) { form.submit(); return; }
    const session = await response.json();
    input.value = input.defaultValue = session.title;
    heading.textContent = session.title || "Untitled session";
    document.title = `${heading.textContent} · Gander`;
    show(false);
  });
}
