// Applies the chosen theme before the page is painted; "system" is the absence of a choice.
// Buttons with data-theme-choice="light|dark|system" change it.
(() => {
  const key = "gander-theme";
  const apply = () => {
    let choice = null;
    try { choice = localStorage.getItem(key); } catch { /* storage may be switched off */ }
    if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
    else delete document.documentElement.dataset.theme;
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === (choice || "system")));
    }
  };
  // What only scripts can do shows only where they run.
  document.documentElement.dataset.scripted = "";
  apply();
  document.addEventListener("DOMContentLoaded", apply);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    try {
      if (button.dataset.themeChoice === "system") localStorage.removeItem(key);
      else localStorage.setItem(key, button.dataset.themeChoice);
    } catch { /* the choice then lasts as long as the page */ }
    apply();
  });
})();
