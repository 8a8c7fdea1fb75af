# The words of C sources without their comments: what a compiler sees, however it is laid out. One record is one file.
BEGIN { RS = "\001" }
{
    text = $0; out = ""
    while (match(text, /\/\*|\/\/|"|'/)) {
        what = substr(text, RSTART, RLENGTH)
        before = substr(text, 1, RSTART - 1); gsub(/[ \t\n]+/, " ", before)
        out = out before
        text = substr(text, RSTART)
        if (what == "/*") { n = index(text, "*/"); text = n ? substr(text, n + 2) : ""; out = out " " }
        else if (what == "//") { n = index(text, "\n"); text = n ? substr(text, n) : "" }
        else { # a string or a character, with what is escaped in it
            match(text, what == "\"" ? /^"(\\.|[^"\\])*"/ : /^'(\\.|[^'\\])*'/)
            if (RLENGTH < 1) RLENGTH = 1
            out = out substr(text, 1, RLENGTH); text = substr(text, RLENGTH + 1)
        }
    }
    gsub(/[ \t\n]+/, " ", text); out = out text
    gsub(/ +/, " ", out)
    print out
}
