"""Strings that have broken other programs, in the manner of the Big List of Naughty Strings."""
# ruff: noqa: E501

NAUGHTY = [
    # words that a language, a shell or a spreadsheet takes for something else
    *("undefined", "undef", "null", "NULL", "(null)", "nil", "NIL", "true", "false", "True"),
    *("None", "hasOwnProperty", "__proto__", "constructor", "then", "\\", "\\\\", "-", "--", "."),
    *("..", "*", "0", "1", "1.00", "$1.00", "1/2", "1E2", "1E02", "-1", "-1.00", "0/0", "-0", "+0"),
    *("0..0", ".", "0.0.0", "0,00", "1,000.00", "1 000,00", "1'000.00", "NaN", "Infinity", "-Inf"),
    *("0x0", "0xffffffffffffffff", "123456789012345678901234567890123456789", "1#QNAN", "08"),
    *("2026-02-30", "12:60", "=1+1", "=HYPERLINK(\"http://a\")", "@SUM(1)", "+1", "-2+3", "'1"),
    # punctuation and quoting
    ",./;'[]-=", "<>?:\"{}|_+", "!@#$%^&*()`~", "'", '"', "''", '""', "'\"'", "\"''''\"'\"", "`",
    *("a,b", "a;b", 'a"b', "a'b", "a\\b", "a\\nb", "%", "%s", "%d%n", "%%", "%2e%2e", "{0}", "{}"),
    *("${x}", "#{x}", "$(x)", "`ls`", "&&", "|", "a&b=c", "a?b#c", "a+b", "a%20b", "a%00b", "//"),
    # whitespace and what looks like nothing
    *(" ", "  ", " a", "a ", "\u00a0", "\u1680", "\u2002\u2003", "\u200b", "\u2028", "\u2029"),
    *("\u3000", "\u205f", "\ufeff", "a\ufeff", "\u180e", "\u00ad", "\u2060", "\u061c", "\ufffe"),
    *("\uffff", "\ufffd", "\u0085", "\u0080", "\u009f", "\u00ad\u0600\u0601\u070f"),
    # beyond ASCII
    *("Ω≈ç√∫˜µ≤≥÷", "åß∂ƒ©˙∆˚¬…æ", "œ∑´®†¥¨ˆøπ“‘", "¡™£¢∞§¶•ªº–≠", "¸˛Ç◊ı˜Â¯˘¿", "ÅÍÎÏ˝ÓÔÒÚÆ☃"),
    *("⁰⁴⁵", "₀₁₂", "ด้้้้้็็็็็้้้้้", "田中さんにあげて下さい", "社會科學院語學研究所", "울란바토르", "𠜎𠜱𠝹𠱓"),
    *("Ⱥ", "ẞ", "ß", "İ", "ı", "ﬀ", "ŉ", "Σς", "ǅ", "e\u0301", "é", "Å", "Å", "A\u030a", "ﷺ", "ﷻ"),
    *("😍", "👩🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇺🇸🇷🇺🇸", "0️⃣", "❤️", "\U0010ffff", "\U0001f4a9", "𝕋𝕙𝕖", "ʇunpᴉpᴉɔuᴉ"),
    *("１２３", "١٢٣", "௧", "Ⅷ", "½", "הָיְתָהtestالصفحات", "مُنَاقَشَةُ", "\u202etest\u202c", "\u2066test\u2067"),
    "Ṱ̺̺̕o͞ ̷i̲̬͇̪͙n̝̗͕v̟̜̘̦͟o̶̙̰̠kè͚̮̺̪̹̱̤", "˙ɐnbᴉlɐ", "\u0f3f", "a\u0300" * 40, "é" * 64,
    # what is dangerous elsewhere
    "<script>alert(0)</script>", "&lt;script&gt;", "<svg><script>0<1>alert(9)", "javascript:alert(1)",
    "\"><img src=x onerror=alert(1)>", "' OR 1=1 -- 1", "1;DROP TABLE users", "1'; DROP TABLE a--1",
    "../../../../etc/passwd", "..\\..\\windows\\win.ini", "file:///etc/passwd", "/dev/null; touch /a",
    "() { 0; }; touch /tmp/a", "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///\">]>",
    "$HOME", "$ENV{'HOME'}", "System(\"ls\")", "Kernel.exit(1)", "eval(\"1\")", "CON", "PRN", "LPT1",
    "{{7*7}}", "{% x %}", "<%= 1 %>", "${jndi:ldap://a}", "a\u00ffb", "xn--a", "İstanbul",
    "Powerلُلُصّبُلُلصّبُررً ॣ ॣh ॣ ॣ冗", "జ్ఞ‌ా", "🏳0🌈️", "\\u0000", "\\x00", "\\ud800", "\\N", "\\t",
    "{\"site_id\":\"x\"}", "[1]", "}\n{"[:1], "a}", '"}', '\\"}', "site_id", "props.a",
]  # fmt: skip

CONTROLS = [
    *map(chr, range(32)),
    "\x7f",
    "\x00a",
    "a\x00",
    "a\nb",
    "\r\n",
    "\x1b[31mred",
    "}\n{",
    "\x08" * 9,
]
