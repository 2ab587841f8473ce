"""The style of every page: scoped to one class, so that it leaves the notebook around it alone."""

from __future__ import annotations

LIGHT = """
--ink:#16202c;--soft:#5a6675;--faint:#c9d1da;--line:#e4e8ee;--paper:#ffffff;--panel:#f6f8fa;
--delivered:#0f8a6d;--accepted:#2f6fde;--rejected:#d2453a;--skipped:#8a95a3;--unsent:#d99a1b;
--good:#0b7a60;--bad:#b8342a;--wary:#8f6205;--good-wash:#e7f5f1;--bad-wash:#fcecea;--wary-wash:#fdf4e0;
color-scheme:light;
"""
DARK = """
--ink:#e8edf3;--soft:#9ba8b7;--faint:#4a5664;--line:#2b3440;--paper:#12181f;--panel:#1a222b;
--delivered:#2fb795;--accepted:#6a9df5;--rejected:#f0695e;--skipped:#728091;--unsent:#e6b04a;
--good:#4fd0b0;--bad:#ff8d83;--wary:#f0c062;--good-wash:#12302b;--bad-wash:#3a1d1c;--wary-wash:#352a12;
color-scheme:dark;
"""
STYLE = f"""
.sk{{{LIGHT}}}
@media (prefers-color-scheme:dark){{.sk{{{DARK}}}}}
@media print{{.sk{{{LIGHT}}}}}
"""
STYLE += """
.sk,.sk *{box-sizing:border-box}
.sk{font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;color:var(--ink);
background:var(--paper);width:100%;max-width:960px;container-type:inline-size;
padding:28px 32px;border:1px solid var(--line);border-radius:14px;
overflow-wrap:anywhere;-webkit-print-color-adjust:exact;print-color-adjust:exact}
.sk.slim{padding:12px 16px;border-radius:10px}.sk.slim p{margin:0}.sk.slim .bar{height:8px}
.sk header{margin:0 0 22px}
.sk .kicker{margin:0 0 8px;color:var(--soft);font-size:13px;display:flex;flex-wrap:wrap;gap:4px 10px;
align-items:center}
.sk .pill{display:inline-block;padding:2px 10px;border-radius:99px;font-weight:600;font-size:12px}
.sk .good{color:var(--good)}.sk .bad{color:var(--bad)}.sk .wary{color:var(--wary)}.sk .dim{color:var(--soft)}
.sk .pill.good{background:var(--good-wash)}.sk .pill.bad{background:var(--bad-wash)}
.sk .pill.wary{background:var(--wary-wash)}.sk .pill.dim{background:var(--panel)}
.sk h1{margin:0;font-size:20px;line-height:1.35;font-weight:600;letter-spacing:-.01em;color:inherit}
.sk h2{margin:0 0 10px;font-size:14px;font-weight:600;color:inherit}
.sk section{margin:26px 0 0;break-inside:avoid}
.sk p{margin:0 0 8px}
.sk .cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(132px,1fr));gap:10px;margin:0;padding:0}
.sk .card{margin:0;padding:12px 13px;background:var(--panel);border-radius:10px;
border-left:3px solid var(--tone,transparent)}
.sk .card dt{color:var(--soft);font-size:12px;font-weight:400;margin:0}
.sk .card dd{margin:1px 0 0;font-size:18px;line-height:1.3;white-space:nowrap;font-weight:600;
font-variant-numeric:tabular-nums}
.sk .card .note{display:block;font-size:12px;line-height:1.35;font-weight:400;color:var(--soft);
white-space:normal}
.sk .bar{display:flex;gap:2px;height:16px;border-radius:5px;overflow:hidden;background:var(--panel)}
.sk .bar i{display:block;min-width:3px;background:var(--tone)}
.sk .legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:10px 0 0;padding:0;list-style:none;font-size:13px;
color:var(--soft)}
.sk .legend li{margin:0}
.sk .legend b{color:var(--ink);font-weight:600;font-variant-numeric:tabular-nums}
.sk .legend i{display:inline-block;width:9px;height:9px;border-radius:3px;background:var(--tone);margin-right:7px}
.sk .scroll{overflow-x:auto}
.sk table{width:100%;border-collapse:collapse;font-size:13px;margin:0;border:0;background:none;color:inherit}
.sk th,.sk td{overflow-wrap:break-word;padding:7px 14px 7px 0;text-align:left;vertical-align:top;border:0;
border-bottom:1px solid var(--line);background:none;white-space:normal}
.sk th{color:var(--soft);font-weight:500;font-size:12px;padding-top:0;white-space:nowrap}
.sk tr:last-child td{border-bottom:0}
.sk th:last-child,.sk td:last-child{padding-right:0}
.sk .num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.sk code,.sk pre{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;color:inherit}
.sk code{background:var(--panel);border-radius:4px;padding:1px 5px}
.sk td code:only-child{white-space:nowrap}
.sk .steps code{background:none;padding:0;font-weight:600}
.sk pre{margin:0;padding:12px 14px;background:var(--panel);border:0;border-radius:10px;max-height:420px;overflow:auto;
white-space:pre-wrap;overflow-wrap:anywhere}
.sk ul.steps{margin:0;padding:0;list-style:none}
.sk ul.steps li{margin:0 0 8px;padding:10px 14px;background:var(--panel);border-radius:10px}
.sk ul.steps li.wary{background:var(--wary-wash);color:var(--ink)}
.sk ul.steps li.bad{background:var(--bad-wash);color:var(--ink)}
.sk figure{margin:0 0 16px}
.sk figcaption{font-size:13px;color:var(--soft);margin:0 0 6px}
.sk .plot{display:grid;grid-template-columns:max-content 1fr;gap:0 10px;font-size:11px;line-height:1;
color:var(--soft);font-variant-numeric:tabular-nums}
.sk .plot .y{display:flex;flex-direction:column;justify-content:space-between;text-align:right;min-width:44px}
.sk .plot .x{grid-column:2;display:flex;justify-content:space-between;padding-top:6px}
.sk svg{display:block;width:100%;height:96px;overflow:visible}
.sk svg *{vector-effect:non-scaling-stroke}
.sk .axis{stroke:var(--line);stroke-width:1}
.sk .limit{stroke:var(--unsent);stroke-width:1.5;stroke-dasharray:5 4}
.sk .hit{stroke:var(--rejected);stroke-width:2}
.sk .area{fill:var(--tone);fill-opacity:.18;stroke:none}
.sk .edge{fill:none;stroke:var(--tone);stroke-width:1.75;stroke-linejoin:round}
.sk details{border:1px solid var(--line);border-radius:10px;padding:10px 14px;margin:0 0 10px}
.sk summary{cursor:pointer;font-weight:600}
.sk details>*+*{margin-top:10px}
.sk .mark{display:inline-block;width:20px;font-weight:700}
.sk footer{margin:26px 0 0;padding:12px 0 0;border-top:1px solid var(--line);color:var(--soft);font-size:12px;
display:flex;flex-wrap:wrap;gap:2px 18px}
.sk-page{margin:0;padding:28px 16px;background:#eef1f4}
.sk-page .sk{margin:0 auto}
@media (prefers-color-scheme:dark){.sk-page{background:#0b0f14}}
@media (max-width:560px){.sk{padding:18px 16px}.sk-page{padding:0}.sk-page .sk{border:0;border-radius:0}}
@container (max-width:560px){.sk h1{font-size:17px}.sk .cards{grid-template-columns:repeat(2,1fr)}
.sk thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
.sk table,.sk tbody,.sk tr{display:block}.sk tr{padding:8px 0;border-bottom:1px solid var(--line)}
.sk tr:last-child{border-bottom:0}.sk td{display:grid;grid-template-columns:88px 1fr;padding:2px 0;border:0}
.sk td.num{text-align:left}.sk td code:only-child{white-space:normal}.sk td:empty{display:none}
.sk td:before{content:attr(data-label);color:var(--soft);font-size:12px}}
@media print{.sk{border:0;padding:0;max-width:none}.sk-page{background:#fff;padding:0}.sk pre{max-height:none}}
"""
