/*
 * What every page shares: its head, its looks and its escapes. One style sheet serves the report and the diagnosis; it
 * knows light and dark, a phone's width and paper. Nothing is fetched and nothing is run.
 */
#include "analysis/report/page_style.h"

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
    ":root{color-scheme:light "
    "dark;--ink:#1c1e21;--soft:#5a6068;--paper:#fcfcfa;--card:#fff;--line:#d9dce0;--tint:#f1f3f5;"
    "--link:#0b5cad;--good:#e4f2ea;--warn:#fdf0d5;--bad:#fbe0d8}\n"
    "@media "
    "(prefers-color-scheme:dark){:root{--ink:#e6e7e9;--soft:#a3a9b1;--paper:#16181b;--card:#1e2125;--line:#383d44;"
    "--tint:#24282d;--link:#7db8f0;--good:#1d3a2a;--warn:#453613;--bad:#4d2418}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1.5rem clamp(.9rem,3vw,2.5rem) 4rem;max-width:76rem;background:var(--paper);"
    "color:var(--ink);font:16px/1.55 system-ui,\"Segoe UI\",Roboto,\"DejaVu "
    "Sans\",sans-serif;overflow-wrap:break-word}\n"
    "h1{font-size:1.75rem;line-height:1.2;margin:.5rem 0 .4rem}\n"
    "h2{font-size:1.3rem;margin:2.6rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line)}\n"
    "h3{font-size:1.05rem;margin:1.6rem 0 .4rem}\n"
    "h4{font-size:1rem;margin:.9rem 0 .2rem;font-weight:600}\n"
    "p,li,dd{max-width:48rem}p{margin:.5rem 0}ul{margin:.3rem 0;padding-left:1.2rem}li{margin:.25rem 0}\n"
    "a{color:var(--link)}code,pre{font:.9em/1.5 ui-monospace,\"DejaVu Sans Mono\",monospace}\n"
    "pre{background:var(--tint);padding:.7rem .9rem;border-radius:6px;overflow-x:auto}\n"
    ".short dt{font-weight:600;margin-top:.7rem}.short dd{margin:0}\n"
    ".lede,.soft{color:var(--soft)}.soft{font-size:.92rem}\n"
    ".note{border-left:4px solid #d55e00;padding:.3rem .9rem;background:var(--tint)}\n"
    ".paper{border-left:4px solid var(--link);padding:.1rem 1rem .3rem;margin:.8rem 0;background:var(--tint)}\n"
    "figure{margin:1.2rem 0 2rem}\n"
    "figcaption{color:var(--soft);font-size:.92rem;max-width:52rem;margin-top:.4rem}"
    "figcaption b{color:var(--ink)}\n"
    ".panels{display:grid;gap:.6rem 1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));"
    "background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.7rem}\n"
    ".panels svg{width:100%;height:auto;max-width:34rem;display:block}\n"
    ".pairs{grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr))}\n"
    ".wide{grid-template-columns:1fr}.wide svg{max-width:58rem}\n"
    ".heat{grid-template-columns:repeat(var(--columns),minmax(12.5rem,21rem));overflow-x:auto}\n"
    ".scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px;margin:.6rem 0;background:var(--card)}\n"
    "table{border-collapse:collapse;font-size:.9rem;min-width:100%;font-variant-numeric:tabular-nums}\n"
    "caption{text-align:left;padding:.5rem .8rem;font-weight:600}\n"
    "th,td{padding:.32rem .8rem;border-top:1px solid "
    "var(--line);text-align:left;white-space:nowrap;vertical-align:top}\n"
    "thead th{background:var(--tint);vertical-align:bottom;white-space:normal;font-weight:600;min-width:5.2rem}\n"
    "td.n,th.n{text-align:right}td .sd{color:var(--soft);font-size:.88em}td.wrap{white-space:normal;min-width:16rem}\n"
    "td.healthy{background:var(--good)}td.warning{background:var(--warn)}td.collapsed{background:var(--bad);"
    "font-weight:600}\n"
    "tr.group th{background:var(--tint)}\n"
    "details{margin:.6rem 0}summary{cursor:pointer}\n"
    "footer{margin-top:3rem;color:var(--soft);font-size:.9rem;border-top:1px solid var(--line);padding-top:.8rem}\n";

static const char style_cards[] =
    /* gnuplot draws ink on white: turned over, with every hue kept, it is as legible on black */
    "@media screen and (prefers-color-scheme:dark){.panels svg{filter:invert(.93) hue-rotate(180deg)}}\n"
    ".cards{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,28rem),1fr));margin:1.2rem 0}\n"
    ".card{background:var(--card);border:1px solid var(--line);border-left:6px solid var(--rim);border-radius:8px;"
    "padding:.8rem 1.1rem 1rem}\n"
    ".card h3{margin:0;display:flex;flex-wrap:wrap;gap:.2rem .7rem;align-items:center}"
    ".card p{margin:.45rem 0;max-width:none}"
    ".card dl{margin:.4rem 0 0}.card dt{font-weight:600;font-size:.92rem}.card dd{margin:0 0 .4rem}\n"
    ".grid th[scope=row]{white-space:normal;overflow-wrap:anywhere;min-width:8rem}.grid "
    "td:not(.n){white-space:normal}\n"
    "@media screen and (max-width:44rem){.grid thead{display:none}.grid tr{display:block;padding:.4rem 0;"
    "border-top:1px solid var(--line)}.grid td,.grid th{display:flex;justify-content:space-between;border:0}"
    ".grid td::before{content:attr(data-of);font-weight:400;color:var(--soft)}}\n"
    ".badge{font-size:.86rem;font-weight:600;padding:.05rem .6rem;border-radius:1rem;background:var(--fill)}\n"
    ".healthy{--rim:#2e8b57;--fill:var(--good)}.warning{--rim:#d99a00;--fill:var(--warn)}"
    ".collapsed{--rim:#c8401c;--fill:var(--bad)}.unknown{--rim:var(--line);--fill:var(--tint)}\n"
    ".gauge{width:100%;max-width:30rem;height:auto;display:block;margin:.5rem 0;font-size:11px;fill:var(--ink)}\n"
    ".gauge .c{fill:var(--bad)}.gauge .w{fill:var(--warn)}.gauge .h{fill:var(--good)}"
    ".gauge line{stroke:var(--ink)}.gauge .zone{fill:var(--soft)}\n";

static const char style_print[] =
    "@media "
    "print{:root{font-size:10pt;--ink:#000;--soft:#333;--paper:#fff;--card:#fff;--line:#999;--tint:#f3f3f3;--link:#000;"
    "--good:#fff;"
    "--warn:#fff;--bad:#eee}body{font-size:10pt;max-width:none;padding:0}figure,table,.paper,.card{break-inside:avoid}"
    "h2,h3,h4{break-after:avoid}.scroll,.heat{overflow:visible}.panels{grid-template-columns:repeat(3,1fr)}.pairs{grid-"
    "template-columns:repeat(2,1fr)}"
    ".cards{grid-template-columns:1fr 1fr}.gauge rect{stroke:#999;stroke-width:.7}\n"
    ".heat{grid-template-columns:repeat(var(--columns),1fr)}table{font-size:8pt}th,td{padding:.15rem .35rem}"
    "thead th{min-width:0}}\n";

void page_open(FILE *out, const char *title) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
          "content=\"width=device-width, initial-scale=1\">\n<link rel=\"icon\" href=\"data:,\">\n<title>",
          out);
    page_text(out, title);
    fprintf(out, "</title>\n<style>\n%s%s%s</style>\n</head>\n<body>\n<header>\n<h1>", style, style_cards, style_print);
    page_text(out, title);
    fputs("</h1>\n", out);
}
