// The session page: keeps what one reads in place while earlier messages load above, marks the current prompt in the
// outline, follows outline links without a reload where the prompt is loaded, and copies links and text.
const inView = () => {
  const line = 130;
  return [...document.querySelectorAll(".turn[data-turn]")].find((turn) => turn.getBoundingClientRect().bottom > line);
};

// Loading above: the turn one sees stays where it is.
let kept = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target?.dataset?.window !== "before") return;
  const turn = inView();
  kept = turn && { turn, top: turn.getBoundingClientRect().top };
});
document.addEventListener("htmx:afterSettle", () => {
  if (kept) scrollBy(0, kept.turn.getBoundingClientRect().top - kept.top);
  kept = null;
  mark();
});

// A link to something in a fold opens the fold; what is loaded late is found again.
const reveal = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target.scrollIntoView();
};
addEventListener("hashchange", reveal);
addEventListener("load", reveal);

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-prompt]");
  if (!link) return;
  link.closest("dialog")?.close();
  const target = document.getElementById(link.dataset.prompt);
  if (!target) return;
  event.preventDefault();
  history.replaceState(null, "", link.getAttribute("href"));
  target.scrollIntoView();
});

// The outline's current entry.
let waiting = false;
const mark = () => {
  waiting = false;
  const turn = inView();
  if (!turn) return;
  for (const link of document.querySelectorAll("[data-prompt]")) {
    const current = link.dataset.prompt === turn.dataset.turn;
    if (current === link.hasAttribute("aria-current")) continue;
    if (current) {
      link.setAttribute("aria-current", "true");
      // Only the outline itself is moved, and not under the hand of who scrolls it.
      const outline = link.closest(".outline:not(:hover)");
      if (outline) outline.scrollTop += link.getBoundingClientRect().top - outline.getBoundingClientRect().top - outline.clientHeight / 3;
    } else link.removeAttribute("aria-current");
  }
};
addEventListener("scroll", () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(mark);
}, { passive: true });

// Copying.
const say = (button, word) => {
  const label = button.querySelector("[data-label]") || button;
  const before = label.textContent;
  label.textContent = word;
  setTimeout(() => { label.textContent = before; }, 2000);
};
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy-link], [data-copy-page], [data-copy-text]");
  if (!button) return;
  try {
    if (button.dataset.copyText) {
      // The promise is handed over at once: Safari wants the write to begin within the click.
      const text = fetch(button.dataset.copyText).then((response) => response.blob()).then((blob) => new Blob([blob], { type: "text/plain" }));
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
    } else {
      const shared = document.querySelector("[data-share]");
      const page = shared?.dataset.shared === "true" ? shared.dataset.url : location.origin + location.pathname;
      await navigator.clipboard.writeText(button.hasAttribute("data-copy-link") ? button.href : page);
    }
    say(button, "Copied");
  } catch {
    say(button, "Could not copy");
  }
});

// Code blocks get a button that copies them.
const dress = (root) => {
  for (const block of root.querySelectorAll(".code")) {
    if (block.querySelector(".copy-code")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy-code";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(block.querySelector("code").textContent);
        say(button, "Copied");
      } catch {
        say(button, "Could not copy");
      }
    });
    block.append(button);
  }
};
dress(document);
document.addEventListener("htmx:load", (event) => dress(event.detail.elt.parentElement ?? document));

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close-found]")) document.querySelector(".found")?.remove();
});
