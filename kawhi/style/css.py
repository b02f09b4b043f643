"""Style sheet of every page of the package; inside the page, so that it is one file that needs no network."""

BASE = """
:root { --blue: #0072B2; --orange: #E69F00; --vermilion: #D55E00; --ink: #1A1A1A; --grey: #5F5F5F; --line: #D9D9D6;
  --paper: #FFFFFF; --ground: #F6F6F3; color-scheme: light;
  font: 16px/1.5 -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif;
  color: var(--ink); background: var(--ground); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1360px; padding: 28px 28px 48px; }
h1 { font-size: 1.65rem; line-height: 1.25; margin: 0; letter-spacing: -.01em; text-wrap: balance; }
h2 { font-size: 1.08rem; line-height: 1.3; margin: 0 0 4px; }
h3 { font-size: 1rem; margin: 0; }
p { margin: 0 0 8px; max-width: 75ch; }
h1, h2, h3, p, dd, figcaption, .text { overflow-wrap: anywhere; }
.kicker, .hint, figcaption, .legend, .numbers, dt, th, .note { color: var(--grey); }
.kicker { font-size: .82rem; margin: 0 0 4px; overflow-wrap: anywhere; }
.hint, figcaption, .legend, .note { font-size: .86rem; line-height: 1.45; }
.note { border-left: 3px solid var(--orange); padding-left: 10px; margin: 10px 0 0; color: var(--ink); }
h1.long { font-size: 1.12rem; line-height: 1.45; white-space: pre-wrap; text-wrap: wrap; max-width: 110ch; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 20px; min-width: 0; }
body > * + * { margin-top: 18px; }
label { font-size: .86rem; display: inline-flex; gap: 7px; align-items: center; margin-top: 10px; cursor: pointer; }
ol { list-style: none; margin: 0; padding: 0; }
:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
.scroll { overflow-x: auto; margin: 10px 0 0; position: relative; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
caption { text-align: left; font-size: .86rem; color: var(--grey); padding-bottom: 6px; }
th { font-weight: 500; text-align: left; padding: 5px 14px 5px 0; vertical-align: bottom; line-height: 1.3; }
td { padding: 5px 10px; text-align: right; white-space: nowrap; }
thead th { border-bottom: 1px solid var(--line); }
thead th + th { text-align: right; padding: 5px 10px; }
tbody th { white-space: nowrap; vertical-align: middle; }
summary { cursor: pointer; font-weight: 600; }
dl { display: grid; grid-template-columns: minmax(7em, auto) minmax(0, 1fr); gap: 4px 18px; font-size: .86rem;
  margin: 12px 0 0; }
dd { margin: 0; }
code { font-family: ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; font-size: .92em; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
"""
"""What every page of the package looks like."""
