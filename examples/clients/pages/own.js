// The page names the digest of this text.
const say = (id, text) => { document.getElementById(id).textContent = text; };
say("own", "run");
fetch("/note", { method: "POST" }).then((answer) => say("note", String(answer.status)), () => say("note", "failed"));
