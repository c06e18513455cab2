/** The style of the page: one column from 320 pixels on, light and dark, nothing that only a colour says. */
export const css = `
:root {
  color-scheme: light dark;
  --back: light-dark(#f4f5f7, #12151a);
  --card: light-dark(#ffffff, #1b2027);
  --sunk: light-dark(#eef0f3, #151a20);
  --text: light-dark(#191d22, #e7eaee);
  --soft: light-dark(#4d5761, #a9b3be);
  --line: light-dark(#d3d8de, #343c46);
  --edge: light-dark(#7d8893, #75808c);
  --accent: light-dark(#0a57a5, #82bcff);
  --on-accent: light-dark(#ffffff, #0e1319);
  --second: light-dark(#a3360b, #ffab7a);
  --bad: light-dark(#b01f17, #ff9189);
  --good: light-dark(#166a30, #62dc8a);
  --glow: light-dark(#ffe58a, #3d3200);
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--back); color: var(--text); font: 1rem/1.45 system-ui, sans-serif; overflow-wrap: break-word; }
.hidden { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: .5rem; top: -4rem; z-index: 2; background: var(--accent); color: var(--on-accent); padding: .5rem .9rem; border-radius: .35rem; }
.skip:focus { top: .5rem; }
header { display: flex; flex-wrap: wrap; gap: .3rem 1.25rem; align-items: center; padding: .7rem 1rem; background: var(--card); border-bottom: 1px solid var(--line); }
h1 { font-size: 1.15rem; margin: 0; }
h2 { font-size: 1.35rem; margin: .25rem 0 .9rem; }
h2:focus, h3:focus { outline: none; }
h2:focus-visible, h3:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
h3 { font-size: 1rem; margin: 0 0 .5rem; }
p { margin: .35rem 0; }
#status { margin: 0; flex: 1 1 auto; color: var(--soft); font-size: .92rem; }
#status::before { content: ""; display: inline-block; width: .65rem; height: .65rem; margin-right: .45rem; border-radius: 50%; background: var(--good); }
[data-state="lost"] #status::before { background: transparent; border: 2px solid var(--bad); }
[data-state="silent"] #status::before { background: var(--second); border-radius: 0; }
.who { display: flex; gap: .7rem; align-items: center; font-size: .92rem; }
nav { background: var(--card); border-bottom: 1px solid var(--line); }
nav ul { display: flex; flex-wrap: wrap; list-style: none; margin: 0; padding: 0 .6rem; }
nav a { display: block; padding: .6rem .7rem .5rem; color: var(--text); text-decoration: none; border-bottom: 3px solid transparent; }
nav a:hover { text-decoration: underline; }
nav a[aria-current] { color: var(--accent); border-bottom-color: var(--accent); font-weight: 600; }
main { padding: 1rem; max-width: 84rem; margin: 0 auto; }
.stack { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); }
form.stack { gap: .7rem; justify-items: start; }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); align-items: start; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem; min-width: 0; }
.narrow { max-width: 26rem; }
.soft, .hint, .optional { color: var(--soft); }
.soft, .hint { font-size: .88rem; }
.bad { color: var(--bad); }
.line { display: flex; flex-wrap: wrap; gap: .4rem .8rem; align-items: center; }
.line h3 { margin: 0; }
.controls { display: flex; flex-wrap: wrap; gap: .7rem; align-items: end; margin: .4rem 0; }
.controls .field { flex: 0 1 12rem; }
.field { display: grid; gap: .2rem; min-width: 0; max-width: 34rem; }
.field.check { grid-template-columns: auto 1fr; align-items: center; justify-items: start; }
.field.check label { order: 2; }
.field.check .hint, .field.check .problem { grid-column: 1 / -1; order: 3; }
label { font-size: .9rem; font-weight: 600; }
.optional { font-weight: 400; }
input, select, textarea { font: inherit; color: var(--text); background: var(--back); border: 1px solid var(--edge); border-radius: .35rem; padding: .4rem .55rem; min-height: 2.4rem; width: 100%; max-width: 100%; }
input[type="checkbox"] { width: 1.25rem; min-height: 1.25rem; height: 1.25rem; accent-color: var(--accent); }
textarea { font-family: ui-monospace, monospace; font-size: .9rem; resize: vertical; }
[aria-invalid="true"] { border: 2px solid var(--bad); }
.problem { color: var(--bad); font-size: .9rem; margin: 0; }
.problem::before { content: "✕ "; }
.hint { margin: 0; }
fieldset { border: 1px solid var(--line); border-radius: .45rem; padding: .6rem .8rem .8rem; margin: 0; min-width: 0; max-width: 40rem; }
legend { font-weight: 600; font-size: .9rem; padding: 0 .3rem; }
.group, .rows, form { display: grid; gap: .7rem; grid-template-columns: minmax(0, 1fr); justify-items: start; }
.group > :not(button), .rows > *, form > .field, form > fieldset { width: 100%; }
form.controls { display: flex; }
form.controls > .field { width: auto; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; }
.row > .field, .row > fieldset { flex: 1 1 10rem; }
button { font: inherit; padding: .35rem .8rem; min-height: 2.4rem; border: 1px solid var(--accent); border-radius: .35rem; background: transparent; color: var(--accent); cursor: pointer; }
button:hover { text-decoration: underline; }
button.primary, button[aria-pressed="true"] { background: var(--accent); color: var(--on-accent); }
button.link { border-color: transparent; padding: 0 .2rem; text-decoration: underline; font-family: ui-monospace, monospace; }
button[aria-disabled="true"] { border-style: dashed; border-color: var(--edge); color: var(--soft); background: transparent; cursor: not-allowed; text-decoration: none; }
button.danger { border-color: var(--bad); color: var(--bad); }
td button { min-height: 1.9rem; padding: .1rem .55rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.scroll { overflow: auto; max-height: 28rem; margin: .5rem 0 0; border: 1px solid var(--line); border-radius: .4rem; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .35rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: middle; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { position: sticky; top: 0; background: var(--card); color: var(--soft); font-weight: 600; z-index: 1; }
tbody th { font-weight: 500; position: sticky; left: 0; background: var(--card); }
table:has(tbody th) thead th:first-child { left: 0; z-index: 2; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.payload, td.cause { max-width: 18rem; overflow: hidden; text-overflow: ellipsis; }
td.actions button + button { margin-left: .35rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .86rem; }
pre { margin: .5rem 0 0; padding: .6rem .7rem; background: var(--sunk); border: 1px solid var(--line); border-radius: .4rem; overflow: auto; max-height: 24rem; white-space: pre-wrap; overflow-wrap: anywhere; }
pre.value { max-height: 9rem; }
.badge { display: inline-block; font-size: .8rem; padding: .05rem .5rem; border: 1px solid var(--edge); border-radius: 1rem; color: var(--soft); white-space: nowrap; }
.badge.dead { color: var(--bad); border-color: var(--bad); }
.badge.processing, .badge.client { color: var(--accent); border-color: var(--accent); }
.badge.processed, .badge.server { color: var(--good); border-color: var(--good); }
.badge.scheduled { color: var(--second); border-color: var(--second); }
.facts { display: grid; gap: .6rem 1.2rem; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); margin: .6rem 0; }
.facts dt { color: var(--soft); font-size: .85rem; }
.facts dd { margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
.pairs { display: grid; grid-template-columns: minmax(0, max-content) minmax(0, 1fr); gap: .15rem .9rem; margin: .4rem 0; }
.pairs dt { color: var(--soft); }
.pairs dd { margin: 0; overflow-wrap: anywhere; }
.outcome { min-height: 1.45em; }
.charts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; min-width: 0; }
figcaption { font-size: .92rem; color: var(--soft); }
figcaption strong { color: var(--text); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: .2rem 0 .4rem; padding: 0; }
.now { color: var(--text); font-variant-numeric: tabular-nums; }
.swatch { display: inline-block; width: 1.4rem; margin-right: .4rem; vertical-align: middle; border-top: 3px solid var(--accent); }
.swatch-2 { border-top: 3px dashed var(--second); }
svg { display: block; width: 100%; height: auto; }
.axis { stroke: var(--edge); stroke-width: 1; }
.grid { stroke: var(--line); stroke-width: 1; stroke-dasharray: 2 3; }
.tick { fill: var(--soft); font: 11px system-ui, sans-serif; }
.line-1, .line-2 { fill: none; stroke: var(--accent); stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.line-2 { stroke: var(--second); stroke-dasharray: 5 3; }
.calls, .history, .errors, .frames { list-style: none; margin: .5rem 0 0; padding: 0; }
.call { border-top: 1px solid var(--line); padding: .7rem 0; }
.call .params { flex: 1 1 10rem; min-width: 0; overflow-wrap: anywhere; color: var(--soft); }
progress { width: 100%; height: .8rem; accent-color: var(--accent); }
.history, .frames { max-height: 22rem; overflow: auto; }
.frames { max-height: 34rem; }
.history li, .frames li { display: flex; gap: .7rem; align-items: baseline; flex-wrap: wrap; border-top: 1px solid var(--line); padding: .3rem 0; }
.history code, .frames code { flex: 1 1 14rem; min-width: 0; overflow-wrap: anywhere; }
time { color: var(--soft); font-size: .85rem; font-variant-numeric: tabular-nums; }
.errors > li { border-top: 1px solid var(--line); padding: .3rem 0; }
summary { cursor: pointer; padding: .2rem 0; }
.errors summary { display: flex; flex-wrap: wrap; gap: .2rem .8rem; align-items: baseline; }
.errors summary::before { content: "▸"; color: var(--soft); }
.errors details[open] > summary::before { content: "▾"; }
.first-line { overflow-wrap: anywhere; }
.correlation { background: var(--sunk); border: 1px solid var(--line); border-radius: .3rem; padding: 0 .35rem; }
.tree { list-style: none; margin: 0; padding-left: 1.1rem; font-family: ui-monospace, monospace; font-size: .9rem; }
.tree.root { padding-left: 0; margin-top: .6rem; }
.tree li { padding: .08rem 0; overflow-wrap: anywhere; }
.key { color: var(--accent); margin-right: .6rem; }
.key::after { content: ":"; color: var(--soft); }
.changed { background: var(--glow); outline: 2px solid var(--glow); border-radius: .2rem; }
.stale-note { border: 2px dashed var(--bad); border-radius: .5rem; padding: .6rem .8rem; background: var(--card); margin: 0 0 1rem; }
.stale #view { filter: grayscale(1); }
.stale .card, .stale figure { border-style: dashed; border-color: var(--edge); background: repeating-linear-gradient(135deg, var(--card) 0 12px, var(--sunk) 12px 24px); }
@media (max-width: 30rem) {
  main { padding: .7rem; }
  .card, figure { padding: .75rem; }
  nav ul { padding: 0 .3rem; }
  nav a { padding: .55rem .5rem .45rem; }
  .controls .field { flex: 1 1 100%; max-width: none; }
}
@media (prefers-reduced-motion: no-preference) {
  .changed { animation: glow 1.5s ease-out; }
  .flash { animation: glow 1.5s ease-out; }
}
@keyframes glow { from { background-color: var(--glow); } }
@media (forced-colors: active) {
  .changed { outline: 2px solid Highlight; }
  button[aria-disabled="true"] { color: GrayText; }
}
`
