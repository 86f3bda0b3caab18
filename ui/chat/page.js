// The page's behaviour: sends events through Gradio and puts the pieces of the answers where they belong.
// Runs as js_on_load of the gr.HTML component: `element`, `trigger`, `props` and `watch` are given.
const app = element.querySelector("[data-app]");
const slot = (name) => app.querySelector("[data-slot=\"" + name + "\"]");
const log = slot("log"), scroller = app.querySelector("[data-scroll]"), words = app.querySelector("#words");
const sheet = app.querySelector("[data-sheet]"), drawer = app.querySelector("[data-drawer]");
const PATIENCE = 30000;  // ms without a sign of life before the page offers to ask again

// --- Who and where: one conversation for each tab ---------------------------------------------------------------------
const stored = () => { try { return JSON.parse(sessionStorage.getItem("llmrec")) || {}; } catch { return {}; } };
const place = { user: null, thread: null, policy: "", ...stored() };
const keep = () => { try { sessionStorage.setItem("llmrec", JSON.stringify(place)); } catch { /* a private window */ } };
const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");

// A duplicated tab brings a copy of the stored place: it asks whether another tab has the conversation and then starts anew.
const tabs = "BroadcastChannel" in window ? new BroadcastChannel("llmrec") : null;
if (tabs) tabs.onmessage = ({ data }) => {
  if (data.asks && data.asks === place.thread && started) tabs.postMessage({ taken: data.asks });
  if (data.taken && data.taken === place.thread && !started) place.thread = null;
};

// --- Sending: one event at a time, the others wait their turn ---------------------------------------------------------
let current = null, waiting = [], clock = 0, started = false, failed = null;

function send(event, show, move) {
  waiting.push({ event: { message: newId(), ...event }, show, move });
  next();
}

function next() {
  if (current || !waiting.length) return;
  current = waiting.shift();
  Object.assign(place, current.move);
  Object.assign(current.event, { user: place.user, thread: place.thread, policy: place.policy });
  if (current.event.op === "turn") {
    const welcome = log.querySelector(".welcome");
    if (welcome) welcome.remove();
    current.focus = document.activeElement === words ? words : null;
    current.nodes = { person: person(current.show || current.event.text), agent: working() };
    log.append(current.nodes.person, current.nodes.agent);
    scroller.scrollTo({ top: scroller.scrollHeight, behavior: "smooth" });
    app.classList.add("busy");
  }
  attempt();
}

// Every attempt has its own id; the message id stays, so that what was done already is not done again.
function attempt() {
  current.event.id = newId();
  listen();
  trigger("act", current.event);
}

function listen() {
  clearTimeout(clock);
  clock = setTimeout(() => {
    if (!current) return;
    if (!current.nodes) { finish(); return; }
    current.nodes.agent.replaceChildren(line("This takes longer than it should."), again());
  }, PATIENCE);
}

function retry(button) {
  if (!current && failed) {
    const trouble = button.closest(".agent");
    trouble.previousElementSibling.remove();
    trouble.remove();
    send(failed.event, failed.show);
    return;
  }
  if (!current) return;
  const fresh = working();
  current.nodes.agent.replaceWith(fresh);
  current.nodes.agent = fresh;
  attempt();
}

function finish() {
  clearTimeout(clock);
  current = null;
  app.classList.remove("busy");
  next();
}

// --- Small nodes for the moment between click and answer; text only ---------------------------------------------------
function make(tag, cls, text) { const node = document.createElement(tag); node.className = cls; if (text) node.textContent = text; return node; }
function line(text) { return make("p", "say", text); }
function person(text) { const node = make("div", "person"); node.append(make("p", "", text)); return node; }
function working() {
  const node = make("article", "agent working"), stages = make("ol", "stages");
  node.setAttribute("aria-busy", "true");
  stages.append(make("li", "now", "Reading …"));
  node.append(stages);
  return node;
}
function again() {
  const below = make("p", "below"), button = make("button", "quiet", "Try again");
  button.type = "button"; button.dataset.retry = "";
  below.append(button);
  return below;
}
function nodes(html) { const box = document.createElement("template"); box.innerHTML = html; return box.content; }

// --- Receiving --------------------------------------------------------------------------------------------------------
watch("value", () => receive(props.value));

function receive(pieces) {
  if (!current || !pieces || pieces.for !== current.event.id) return;
  listen();
  const { op } = current.event, done = pieces.phase !== "working";
  if (pieces.phase === "failed" && op === "open") { fill("log", pieces.agent); finish(); return; }
  if (pieces.phase === "failed" && op !== "turn") { fill("sheet", pieces.agent); openSheet(); finish(); return; }
  if (op === "turn") say(pieces, done);
  if ("log" in pieces) { fill("log", pieces.log); closeOld(); }
  if ("side" in pieces) showSide(pieces);
  if ("name" in pieces) { slot("name").textContent = pieces.name; document.title = pieces.name; }
  if ("user" in pieces && done) showUser(pieces.user);
  if ("thread" in pieces) place.thread = pieces.thread;
  if ("policies" in pieces) { fill("policies", pieces.policies); place.policy = app.querySelector("[name=policy]:checked").value; }
  if (pieces.sheet) { fill("sheet", pieces.sheet); openSheet(); }
  if (pieces.download) download(pieces.download);
  if (pieces.status) slot("status").textContent = pieces.status;
  app.querySelectorAll("[data-needs-thread]").forEach((button) => { button.disabled = !place.thread; });
  keep();
  if (!done) return;
  if (op === "open") { started = true; app.classList.add("ready"); scroller.scrollTop = scroller.scrollHeight; }
  trail();
  const was = current;
  finish();
  if (op === "turn") settle(was);
}

function say(pieces, done) {
  const at = current.nodes;
  if (pieces.agent) {
    const fresh = nodes(pieces.agent).firstElementChild;
    at.agent.replaceWith(fresh);
    at.agent = fresh;
  }
  if (pieces.person) {
    const fresh = nodes(pieces.person).firstElementChild;
    at.person.replaceWith(fresh);
    at.person = fresh;
  }
  if (done) failed = pieces.phase === "failed" ? current : null;
  if (done && !failed) closeOld();
}

// After an answer: its start is in view, and the keyboard goes on from there.
function settle(was) {
  const last = log.lastElementChild;
  if (!last) return;
  const before = last.previousElementSibling;
  const top = (before && before.classList.contains("person") ? before : last).offsetTop - 16;
  scroller.scrollTo({ top: Math.min(top, scroller.scrollHeight), behavior: reduced() ? "auto" : "smooth" });
  if (was.focus === words) words.focus({ preventScroll: true });
  else if (document.activeElement === document.body || document.activeElement.closest("[inert]")) last.focus({ preventScroll: true });
}
const reduced = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Only the last question can be answered; cards stay alive.
function closeOld() {
  const all = [...log.querySelectorAll(".question")], last = log.lastElementChild;
  all.forEach((node) => { if (!last.contains(node)) node.inert = true; });
  log.querySelectorAll(".agent .starters").forEach((node) => { if (!last.contains(node)) node.remove(); });
}

function fill(name, html) { slot(name).replaceChildren(nodes(html || "")); }

function showSide(pieces) {
  const had = slot("side").contains(document.activeElement), bar = slot("side").querySelector(".bar i");
  const from = bar ? bar.style.width : "100%";
  fill("side", pieces.side);
  const now = slot("side").querySelector(".bar i"), width = now.style.width;
  now.style.width = from;
  slot("mini").style.width = width;
  requestAnimationFrame(() => requestAnimationFrame(() => { now.style.width = width; }));
  slot("summary").textContent = pieces.summary;
  if (had) (slot("side").querySelector(".cross") || slot("side")).focus();
}

function showUser(user) {
  place.user = user;
  slot("who").textContent = user || "Anonymous";
  slot("face").textContent = user ? user[0].toUpperCase() : "·";
}

// Past counts as thin bars under the present one.
function trail() {
  const box = app.querySelector("[data-trail]");
  if (!box) return;
  const counts = [...log.querySelectorAll("[data-left]")].map((node) => Number(node.dataset.left)).slice(-14);
  const most = Math.max(1, ...counts);
  box.replaceChildren(...(counts.length > 1 ? counts : []).map((count) => {
    const bar = make("li", "");
    bar.style.height = `${Math.max(4, 100 * (count / most) ** 0.4)}%`;
    return bar;
  }));
}

// --- Clicks -----------------------------------------------------------------------------------------------------------
app.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || !app.contains(button)) return;
  const data = button.dataset;
  if ("acts" in data) {
    if (app.classList.contains("busy") && (button.closest(".question") || waiting.length > 2)) return;
    click(button);
    closeDrawer();
  } else if ("ask" in data) send({ op: "turn", text: data.ask });
  else if ("choice" in data) choose(button);
  else if ("settle" in data) answer(button.closest(".question"));
  else if ("unfold" in data) unfold(button);
  else if ("retry" in data) retry(button);
  else if ("confirm" in data && !("sure" in data)) { data.sure = ""; button.lastElementChild.textContent = data.confirm; }
  else if ("op" in data) send({ op: data.op, ...(data.entry ? { entry: data.entry } : {}) });
  else if ("person" in data) become(data.person);
  else if ("drawer" in data) toggleDrawer(true);
  else if ("drawerClose" in data) closeDrawer();
  else if ("sheetClose" in data) sheet.close();
  else if ("themeToggle" in data) toggleTheme();
});

// What was clicked shows at once, before the server answers. A deed clicked again is withdrawn.
function click(button) {
  const acts = JSON.parse(button.dataset.acts), deed = button.matches(".deed[aria-pressed]");
  const pressed = deed && button.getAttribute("aria-pressed") === "true";
  if (deed && performance.now() - (button.clicked ?? -1e4) < 500) return;  // a double click is one
  button.clicked = performance.now();
  if (deed) show(button.closest(".card").dataset.item, acts[0].kind, !pressed);
  else if (button.classList.contains("answer")) button.setAttribute("aria-pressed", "true");
  if (pressed) send({ op: "turn", acts: acts.map((act) => ({ ...act, remove: true })) }, `Forget: ${button.ariaLabel}`);
  else send({ op: "turn", acts }, button.dataset.say);
}

// The last thing said of an item holds, on every card that it has.
function show(item, kind, pressed) {
  for (const card of log.querySelectorAll(".card")) {
    if (card.dataset.item !== item) continue;
    for (const deed of card.querySelectorAll(".deed[aria-pressed]")) {
      deed.setAttribute("aria-pressed", String(pressed && JSON.parse(deed.dataset.acts)[0].kind === kind));
    }
  }
}

function choose(button) {
  const group = button.closest(".choice"), on = button.getAttribute("aria-pressed") !== "true";
  group.querySelectorAll("[data-choice]").forEach((other) => other.setAttribute("aria-pressed", String(other === button && on)));
  const question = button.closest(".question"), settle = question.querySelector("[data-settle]");
  settle.disabled = !question.querySelector("[aria-pressed=true]");
}

function answer(question) {
  const pressed = [...question.querySelectorAll("[aria-pressed=true]")];
  const acts = pressed.map((button) => ({ kind: button.dataset.choice, value: button.closest(".choice").dataset.value }));
  const said = pressed.map((button) => button.getAttribute("aria-label")).join(" · ");
  if (acts.length) send({ op: "turn", acts }, said);
}

function unfold(button) {
  const open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(open));
  button.closest(".card").classList.toggle("open", open);
}

function become(user) {
  sheet.close();
  send({ op: "open" }, null, { user, thread: null });  // once the turn that runs has been answered
}

app.addEventListener("change", ({ target }) => { if (target.name === "policy") { place.policy = target.value; keep(); } });

app.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-write]")) {
    event.preventDefault();
    const text = words.value.trim();
    if (!text) return;
    words.value = "";
    grow();
    send({ op: "turn", text });
  } else if (form.matches("[data-person-form]")) {
    event.preventDefault();
    const name = form.elements.person.value.trim();
    if (name) become(name);
  }
});

function grow() { words.style.height = "auto"; words.style.height = `${Math.min(words.scrollHeight, 180)}px`; }
words.addEventListener("input", grow);
words.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); words.form.requestSubmit(); }
});

// --- Sheet, drawer, theme, download -----------------------------------------------------------------------------------
function openSheet() { if (!sheet.open) sheet.showModal(); }
sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });

function toggleDrawer(open) {
  app.classList.toggle("drawn", open);
  drawer.setAttribute("aria-expanded", String(open));
  if (open) app.querySelector("[data-drawer-close]").focus();
}
function closeDrawer() { if (app.classList.contains("drawn")) { toggleDrawer(false); drawer.focus(); } }
app.addEventListener("keydown", (event) => { if (event.key === "Escape") closeDrawer(); });
scroller.addEventListener("click", () => closeDrawer());

const root = document.documentElement;
function paint(theme) { root.style.colorScheme = theme || ""; document.body.classList.toggle("dark", isDark()); }
const isDark = () => (root.style.colorScheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
function toggleTheme() {
  const theme = isDark() ? "light" : "dark";
  try { localStorage.setItem("llmrec-theme", theme); } catch { /* a private window */ }
  paint(theme);
}
try { paint(localStorage.getItem("llmrec-theme")); } catch { paint(""); }

function download({ name, text }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// --- Begin ------------------------------------------------------------------------------------------------------------
if (tabs && place.thread) {
  tabs.postMessage({ asks: place.thread });
  setTimeout(() => send({ op: "open" }), 80);
} else send({ op: "open" });
