// <button data-opens="#dialog"> opens a <dialog>; inside it, [data-closes] closes it. Focus goes to [data-first] and
// back to where it was, or to the menu that held the button. Without JavaScript the buttons are links or forms and need none of this.
for (const button of document.querySelectorAll("[data-opens]")) {
  button.addEventListener("click", (event) => {
    const dialog = document.querySelector(button.dataset.opens);
    if (!dialog || !button.dispatchEvent(new CustomEvent("gander:opening", { bubbles: true, cancelable: true }))) return;
    event.preventDefault();
    const menu = button.closest("details.menu");
    if (menu) menu.open = false;
    dialog.showModal();
    dialog.querySelector("[data-first]:not([hidden])")?.focus({ preventScroll: true });
    // The browser puts the focus back by itself, but for a button in a menu that has closed (and Safari's buttons).
    dialog.addEventListener("close", () => {
      if (document.activeElement !== document.body) return;
      (menu?.querySelector("summary") ?? button).focus({ preventScroll: true });
    }, { once: true });
  });
}
document.addEventListener("click", (event) => {
  const closer = event.target.closest("[data-closes]");
  if (closer) closer.closest("dialog").close();
  // A menu closes when one clicks beside it.
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
