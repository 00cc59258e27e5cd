// The Share button and its dialog. A page that embeds Gander takes over by cancelling "gander:share", which fires first.
const root = document.querySelector("[data-share]");
if (root) {
  const dialog = document.querySelector("#share-dialog");
  const toggle = dialog.querySelector("[role=switch]");
  const button = document.querySelector("[data-share-button]");
  const state = (shared) => {
    root.dataset.shared = String(shared);
    toggle.setAttribute("aria-checked", String(shared));
    for (const element of document.querySelectorAll("[data-when-shared]")) element.hidden = !shared;
    for (const element of document.querySelectorAll("[data-when-private]")) element.hidden = shared;
  };
  document.addEventListener("gander:session", (event) => state(event.detail.shared));
  button.addEventListener("click", (event) => {
    event.preventDefault();
    const shared = root.dataset.shared === "true";
    const ours = root.dispatchEvent(new CustomEvent("gander:share", {
      bubbles: true, cancelable: true, detail: { sessionId: root.dataset.share, url: root.dataset.url, shared },
    }));
    if (!ours) return;
    dialog.showModal();
    (shared ? dialog.querySelector("[data-copy]") : toggle).focus();
    dialog.addEventListener("close", () => button.focus(), { once: true });
  });
  toggle.addEventListener("click", async () => {
    const shared = toggle.getAttribute("aria-checked") !== "true";
    toggle.disabled = true;
    const response = await fetch(root.dataset.api, {
      method: "PATCH",
      headers: { "Content-Type": "application/json", "X-CSRFToken": root.dataset.csrf },
      body: JSON.stringify({ shared }),
    }).catch(() => null);
    toggle.disabled = false;
    toggle.focus();
    const problem = dialog.querySelector("[data-problem]");
    problem.hidden = Boolean(response?.ok);
    if (response?.ok) state((await response.json()).shared);
  });
}
