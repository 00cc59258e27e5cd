// The list's selection: "select all" picks every row of the page, and the actions show once something is picked.
// Without JavaScript the actions are always there.
const form = document.querySelector("[data-selection]");
if (form) {
  const all = form.querySelector("[data-select-all]");
  const boxes = () => [...form.querySelectorAll("input[name=session]")];
  const update = () => {
    const picked = boxes().filter((box) => box.checked).length;
    form.dataset.picked = String(picked);
    for (const button of form.querySelectorAll(".selected button[name=act]")) button.hidden = picked === 0;
    all.checked = picked > 0 && picked === boxes().length;
    all.indeterminate = picked > 0 && !all.checked;
  };
  all.addEventListener("change", () => {
    for (const box of boxes()) box.checked = all.checked;
    update();
  });
  form.addEventListener("change", update);
  // Rows come and go while one looks.
  new MutationObserver(update).observe(form.querySelector("[data-live-list]"), { childList: true, subtree: true });
  update();
}
