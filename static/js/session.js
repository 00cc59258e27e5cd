// The session page: keeps what one reads in place while earlier messages load above, marks the current prompt in the
// outline, follows outline links without a reload where the prompt is loaded, and copies links and text.
import { copyText, say } from "./clipboard.js";
import { standAt } from "./place.js";

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

// A link to something in a fold opens the fold; what is loaded late is found again. Words that were looked for are
// marked, and what holds them is opened and loaded.
const marked = (target, words) => {
  const ranges = [];
  const texts = document.createTreeWalker(target, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.toLowerCase();
    for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, at + words.length)) {
      const range = new Range();
      range.setStart(texts.currentNode, at);
      range.setEnd(texts.currentNode, at + words.length);
      ranges.push(range);
    }
  }
  globalThis.CSS?.highlights?.set("found", new Highlight(...ranges));
  return ranges;
};
const openFolds = (element) => {
  for (let fold = element.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
};
let awaited = null;
const showWords = (target, words) => {
  const [first] = marked(target, words);
  if (first) {
    const place = first.startContainer.parentElement;
    openFolds(place);
    place.scrollIntoView({ block: "center" });
    return;
  }
  // Only the head of long output is on the page.
  const more = target.querySelector("a.more[hx-get]");
  if (more && awaited === null) {
    awaited = { id: target.id, words };
    more.click();
  }
};
document.addEventListener("htmx:afterSettle", () => {
  const target = awaited && document.getElementById(awaited.id);
  if (target) showWords(target, awaited.words);
  awaited = null;
});
const reveal = () => {
  const id = decodeURIComponent(location.hash.slice(1));
  if (!id) return;
  const target = document.getElementById(id);
  if (!target) {
    // Not loaded: the server knows the window in which it stands.
    const there = `?at=${encodeURIComponent(id)}`;
    if (document.querySelector("#messages") && !location.search.startsWith(there)) location.replace(`${location.pathname}${there}${location.hash}`);
    return;
  }
  openFolds(target);
  target.scrollIntoView();
  const words = new URLSearchParams(location.search).get("q")?.trim().toLowerCase();
  if (words) showWords(target, words);
};
addEventListener("hashchange", reveal);
addEventListener("load", reveal);

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-prompt], [data-goes-to]");
  if (!link) return;
  link.closest("dialog")?.close();
  const target = document.getElementById(link.dataset.prompt ?? link.dataset.goesTo);
  if (!target) return;
  event.preventDefault();
  history.replaceState(null, "", link.getAttribute("href"));
  reveal();
  // Who goes on by keyboard goes on there.
  if (link.dataset.prompt) standAt(target);
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
  // The outline begins with prompts around where one came in; further up it is had as one scrolls.
  const earlier = document.querySelector(".outline [data-earlier] a:not(.htmx-request)");
  const first = document.querySelector(".outline [data-prompt-order]")?.dataset.promptOrder;
  if (earlier && turn.querySelector(".message")?.dataset.order < first) earlier.click();
};
addEventListener("scroll", () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(mark);
}, { passive: true });

// Copying.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy-link], [data-copy-page], [data-copy-text]");
  if (!button) return;
  if (button.hasAttribute("data-copy-link")) {
    // The link is the page's own from here on; following it would load the page again.
    event.preventDefault();
    history.replaceState(null, "", button.getAttribute("href"));
  }
  try {
    if (button.dataset.copyText) {
      // The promise is handed over at once: Safari wants the write to begin within the click.
      const text = fetch(button.dataset.copyText).then((response) => {
        if (!response.ok) throw new Error(String(response.status));
        return response.blob();
      }).then((blob) => new Blob([blob], { type: "text/plain" }));
      if (!navigator.clipboard) await copyText(await (await text).text());
      else await navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
    } else {
      const shared = document.querySelector("[data-share]");
      // While it is shared, what is copied is good for others, too.
      const link = new URL(shared?.dataset.shared === "true" ? shared.dataset.url : location.pathname, location.origin);
      if (button.hasAttribute("data-copy-link")) ({ search: link.search, hash: link.hash } = new URL(button.href));
      await copyText(link.href);
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
        await copyText(block.querySelector("code").textContent);
        say(button, "Copied");
      } catch {
        say(button, "Could not copy");
      }
    });
    block.append(button);
  }
};
dress(document);
document.addEventListener("gander:added", (event) => { dress(event.detail); mark(); });
document.addEventListener("htmx:load", (event) => dress(event.detail.elt.parentElement ?? document));

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close-found]")) document.querySelector(".found")?.remove();
});
