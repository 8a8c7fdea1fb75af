/*
 * What every page shares: its head, its looks and its escapes. One style sheet serves the report and the diagnosis; it
 * knows light and dark, a phone's width and paper. Nothing is fetched and nothing is run.
 */
#include "analysis/report/pages/page_style.h"

void page_text(FILE *out, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '&': fputs("&amp;", out); break;
        case '"': fputs("&quot;", out); break;
        case '\'': fputs("&#39;", out); break;
        default: fputc(*text, out);
        }
    }
}

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1c1e21;--soft:#5a6068;--paper:#fcfcfa;--card:#fff;--line:#d9dce0;"
    "--tint:#f1f3f5;--link:#0b5cad;--good:#e4f2ea;--warn:#fdf0d5;--bad:#fbe0d8}\n"
    "@media (prefers-color-scheme:dark){:root{--ink:#e6e7e9;--soft:#a3a9b1;--paper:#16181b;--card:#1e2125;"
    "--line:#383d44;--tint:#24282d;--link:#7db8f0;--good:#1d3a2a;--warn:#453613;--bad:#4d2418}}\n"
    "*{box-sizing:border-box}html{scroll-behavior:smooth}\n"
    "body{margin:0 auto;padding:1.2rem clamp(.8rem,2vw,2rem) 3rem;max-width:86rem;background:var(--paper);"
    "color:var(--ink);font:15px/1.5 system-ui,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif;"
    "overflow-wrap:break-word}\n"
    "h1{font-size:1.6rem;line-height:1.2;margin:.2rem 0 .3rem}\n"
    "h2{font-size:1.2rem;margin:1.6rem 0 .5rem;padding-top:.5rem;border-top:1px solid var(--line)}\n"
    ".first h2{border:0;margin:.4rem 0 .3rem;padding:0}\n"
    "h3{font-size:1rem;margin:.9rem 0 .2rem}h4{font-size:1rem;margin:.6rem 0 .2rem;font-weight:600}\n"
    "p,li,dd{max-width:52rem}p{margin:.4rem 0}ul{margin:.2rem 0;padding-left:1.1rem}li{margin:.2rem 0}\n"
    "a{color:var(--link)}code,pre{font:.88em/1.5 ui-monospace,\"DejaVu Sans Mono\",monospace}\n"
    "pre{background:var(--tint);padding:.5rem "
    ".8rem;border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere;margin:.4rem 0}\n"
    "nav{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;margin:.5rem 0 .2rem;"
    "font-size:.9rem}nav a{text-decoration:none}nav a:hover{text-decoration:underline}\n"
    ".lede,.soft,figcaption,.files{color:var(--soft)}.soft,figcaption,.lede{font-size:.87rem}\n"
    ".note{border-left:4px solid #d55e00;padding:.3rem .9rem;background:var(--tint)}\n"
    ".paper{border-left:4px solid var(--link);padding:.1rem 1rem .3rem;margin:.6rem 0;background:var(--tint)}\n"
    ".heard{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}\n"
    ".short{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:.5rem 2rem;"
    "margin:.4rem 0}.short dt{font-weight:600}.short dd{margin:0}\n"
    ".blocks{columns:26rem;column-gap:2rem}.blocks section{break-inside:avoid;"
    "padding-top:.1rem}.blocks h3{margin-top:.4rem}\n"
    "@media (min-width:72rem){.beside{display:grid;grid-template-columns:minmax(0,41rem) minmax(0,1fr);"
    "gap:0 1.4rem}.beside .group{width:100%}.beside "
    ".panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(10rem,1fr))}}\n";

static const char style_figures[] =
    "figure{margin:.6rem 0 1rem}figcaption{max-width:60rem;margin-top:.3rem}figcaption b{color:var(--ink)}\n"
    ".pairs{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,38rem),1fr));gap:0 1.2rem;"
    "align-items:start}.pairs figure{min-width:0}\n"
    ".first figure{margin-top:.4rem}\n"
    ".groups{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;background:var(--card);border:1px solid var(--line);"
    "border-radius:8px;padding:.4rem .6rem}\n"
    ".group{min-width:0}.heading{display:flex;flex-wrap:wrap;gap:0 .9rem;align-items:baseline;font-size:.8rem;"
    "margin:.2rem 0 .1rem;max-width:none}\n"
    ".heading span{white-space:nowrap}.key{margin-right:.25rem;vertical-align:baseline}.bar{display:inline-block;"
    "width:3.4rem;height:.6rem;border:1px solid var(--line)}\n"
    ".panels{display:flex;flex-wrap:wrap;gap:.1rem .2rem}.panels svg{display:block;max-width:100%;height:auto}\n"
    ".heat .group{flex:0 0 auto;max-width:100%}\n"
    "@media (max-width:44rem){.group{width:100%}.panels{display:grid;"
    "grid-template-columns:1fr 1fr}.panels svg{width:100%}.heat .panels{grid-template-columns:1fr 1fr "
    "1fr}.diagnosis .panels{grid-template-columns:1fr}}\n"
    "@media screen and (prefers-color-scheme:dark){.panels svg,.key,.bar{filter:invert(.93) hue-rotate(180deg)}}\n";

static const char style_tables[] =
    ".scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px;margin:.4rem 0;"
    "background:var(--card)}\n"
    "table{border-collapse:collapse;font-size:.87rem;min-width:100%;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.16rem .6rem;border-top:1px solid var(--line);text-align:left;white-space:nowrap;"
    "vertical-align:top}\n"
    "thead th{background:var(--tint);vertical-align:bottom;white-space:normal;font-weight:600;border-top:0}\n"
    ".numbers thead th{min-width:5rem}tbody th{font-weight:400}\n"
    "td.n,th.n{text-align:right}.sd{color:var(--soft);font-size:.9em;font-weight:400}td.wrap{white-space:normal;"
    "min-width:16rem}\n"
    "td.healthy{background:var(--good)}td.warning{background:var(--warn)}td.collapsed{background:var(--bad)}\n"
    "td>span[aria-hidden],.key-line span{color:var(--rim)}\n"
    ".matrix th,.matrix td{padding:.16rem .35rem}\n"
    "tr.group th{background:var(--tint);font-weight:600}\n"
    "@media screen{.matrix{max-height:62rem;overflow-y:auto}.matrix thead th{position:sticky;top:0}}\n"
    "details{margin:.4rem 0}summary{cursor:pointer}details.drawn summary{font-weight:600}\n"
    "footer{margin-top:2rem;color:var(--soft);font-size:.87rem;border-top:1px solid var(--line);"
    "padding-top:.6rem}\n"
    "@media (max-width:44rem){.matrix th,.matrix td{padding:.16rem .3rem}.matrix "
    "table{font-size:.8rem}.onset{display:none}}\n";

static const char style_cards[] =
    ".cards{display:grid;gap:.8rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,28rem),1fr));"
    "margin:.8rem 0}\n"
    ".card{background:var(--card);border:1px solid var(--line);border-left:6px solid var(--rim);"
    "border-radius:8px;padding:.6rem 1rem .7rem}\n"
    ".card h3{margin:0;display:flex;flex-wrap:wrap;gap:.2rem .7rem;align-items:center}.card p{margin:.35rem 0;"
    "max-width:none}.card dl{margin:.3rem 0 0}.card dt{font-weight:600;"
    "font-size:.87rem}.card dd{margin:0 0 .3rem}\n"
    ".grid th[scope=row]{white-space:normal;overflow-wrap:anywhere;"
    "min-width:8rem}.grid td:not(.n){white-space:normal}\n"
    "@media screen and (max-width:44rem){.grid thead{display:none}.grid tr{display:block;padding:.4rem 0;"
    "border-top:1px solid var(--line)}.grid td,.grid th{display:flex;justify-content:space-between;"
    "border:0}.grid td::before{content:attr(data-of);font-weight:400;color:var(--soft)}}\n"
    ".badge{font-size:.82rem;font-weight:600;padding:.05rem .6rem;border-radius:1rem;background:var(--fill)}\n"
    ".healthy{--rim:#2e8b57;--fill:var(--good)}.warning{--rim:#d99a00;"
    "--fill:var(--warn)}.collapsed{--rim:#c8401c;--fill:var(--bad)}.unknown{--rim:#9aa0a6;--fill:var(--tint)}\n"
    ".gauge{width:100%;max-width:26rem;height:auto;display:block;margin:.4rem 0;font-size:11px;fill:var(--ink)}\n"
    ".gauge .c{fill:var(--bad)}.gauge .w{fill:var(--warn)}.gauge .h{fill:var(--good)}.gauge "
    "line{stroke:var(--ink)}.gauge .zone{fill:var(--soft)}\n"
    ".merits{display:flex;flex-wrap:wrap;gap:.6rem;margin:.6rem 0}.merits div{background:var(--card);"
    "border:1px solid var(--line);border-radius:8px;padding:.4rem .9rem}.merits b{display:block;font-size:1.3rem;"
    "font-variant-numeric:tabular-nums}.merits span{font-size:.82rem;color:var(--soft)}\n";

/* One colour for a verdict on paper, too; a column more than a sheet has room for stays in the CSV. */
static const char style_print[] =
    "@page{margin:12mm}\n"
    "@media print{:root{font-size:9.5pt;--ink:#000;--soft:#333;--paper:#fff;--card:#fff;--line:#999;"
    "--tint:#f3f3f3;--link:#000}\n"
    "body{font-size:9.5pt;line-height:1.35;max-width:none;"
    "padding:0}footer{margin-top:.3rem;padding-top:0;break-before:avoid}figure,.paper,.card,tr,.short>div,section{"
    "break-inside:avoid}h2,h3,h4,summary{break-after:avoid}\n"
    ".scroll{overflow:visible;max-height:none}nav,.files{display:none}.short{grid-template-columns:1fr 1fr}\n"
    "table{font-size:7.5pt}th,td{padding:.08rem .3rem;"
    "print-color-adjust:exact}.numbers th:nth-child(n+12),.numbers td:nth-child(n+12){display:none}.numbers "
    "thead th{min-width:0}\n"
    ".groups{padding:.2rem;gap:0 .4rem}.panels svg{width:1.72in;"
    "height:auto}.heat .panels svg{width:1.14in}.heading{font-size:7.5pt}.diagnosis .panels "
    "svg{width:2.35in}.diagnosis .heat .panels svg{width:1.75in}\n"
    ".cards{grid-template-columns:1fr 1fr;gap:.4rem}.gauge rect{stroke:#999;"
    "stroke-width:.7}td,.card,.badge{print-color-adjust:exact}}\n";

void page_open(FILE *out, const char *title, const char *kind) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
          "content=\"width=device-width, initial-scale=1\">\n<link rel=\"icon\" href=\"data:,\">\n<title>",
          out);
    page_text(out, title);
    fprintf(out, "</title>\n<style>\n%s%s%s%s%s</style>\n</head>\n<body%s%s%s>\n<header>\n<h1>", style, style_figures,
            style_tables, style_cards, style_print, *kind ? " class=\"" : "", kind, *kind ? "\"" : "");
    page_text(out, title);
    fputs("</h1>\n", out);
}
