// The images of a message that is being written: picked or pasted ones show as chips that can be taken away again.
const KINDS = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);

const inBase64 = (file) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.addEventListener("load", () => done(reader.result.slice(reader.result.indexOf(",") + 1)));
  reader.addEventListener("error", failed);
  reader.readAsDataURL(file);
});

export const keepImages = (form, complain) => {
  const input = form.querySelector("input[type=file]");
  const list = form.querySelector(".attached");
  const button = form.querySelector("[data-attach]");
  let files = [];

  const show = () => {
    list.hidden = files.length === 0;
    list.replaceChildren(...files.map((file) => {
      const chip = document.createElement("li");
      const name = document.createElement("span");
      name.textContent = file.name;
      const away = document.createElement("button");
      away.type = "button";
      away.className = "plain";
      away.setAttribute("aria-label", `Remove ${file.name}`);
      away.append(form.querySelector("template[data-away]").content.cloneNode(true));
      away.addEventListener("click", () => {
        files = files.filter((other) => other !== file);
        show();
        (list.querySelector("button") ?? button).focus();
      });
      chip.append(name, away);
      return chip;
    }));
  };
  const add = (some) => {
    const fitting = some.filter((file) => KINDS.has(file.type));
    complain(fitting.length < some.length ? "Only PNG, JPEG, GIF and WebP images can be attached." : "");
    files = [...files, ...fitting];
    show();
  };

  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    add([...input.files]);
    input.value = "";
  });
  form.querySelector("textarea").addEventListener("paste", (event) => {
    const pasted = [...event.clipboardData.files];
    if (!pasted.length) return;
    event.preventDefault();
    add(pasted);
  });

  return {
    count: () => files.length,
    blocks: () => Promise.all(files.map(async (file) => ({ type: "image", data: await inBase64(file), mimeType: file.type }))),
    clear: () => { files = []; show(); },
  };
};
