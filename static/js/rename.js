// Renames in place: the pen shows the form, Enter saves, Esc restores.
const form = document.querySelector("form.rename");
const pen = document.querySelector("[data-rename]");
if (form && pen) {
  const heading = document.querySelector(".session-head h1");
  const input = form.querySelector("input[name=title]");
  const show = (editing) => {
    form.hidden = !editing;
    heading.classList.toggle("hidden-label", editing);
    pen.hidden = editing;
    (editing ? input : pen).focus();
    if (editing) input.select();
  };
  pen.addEventListener("click", (event) => {
    event.preventDefault();
    show(true);
  });
  // It says that it is a button.
  pen.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    pen.click();
  });
  // Agents give their sessions a title in time; what somebody is typing stays.
  document.addEventListener("gander:session", ({ detail: { title } }) => {
    if (form.hidden) input.value = input.defaultValue = title === "Untitled session" ? "" : title;
  });
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
