"""The language of a visitor, by the first tag of Accept-Language (RFC 9110, 12.5.4; RFC 5646)."""

ACCEPT_BYTES_MAX = 32  # the first tag stands in front
ACCEPTS_MAX = 4_096  # that a process remembers

# ISO 639-1, and of the three-letter codes those in which browsers come (Unicode CLDR)
_CODES = """
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da
    de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz
    ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln
    lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi
    pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th
    ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
    ast bho brx ceb chr ckb dgo doi dsb fil fur gsw haw hsb kab kok lij mai mni nds nqo nso pcm quz
    sah sat scn smn szl tzm vec yue zgh
"""
LANGUAGES = frozenset(_CODES.split())
FORMER = {"in": "id", "iw": "he", "ji": "yi", "jw": "jv", "mo": "ro"}

_known: dict[bytes, str | None] = {}


def language_of(accept_language: bytes) -> str | None:
    """None for none, for `*`, and for what is no language."""
    try:
        return _known[accept_language]
    except KeyError:
        if len(accept_language) > ACCEPT_BYTES_MAX:
            return language_of(accept_language[:ACCEPT_BYTES_MAX])
    if len(_known) >= ACCEPTS_MAX:
        _known.clear()
    _known[accept_language] = found = _first(accept_language.decode("latin-1"))
    return found


def _first(accept_language: str) -> str | None:
    tag = accept_language.partition(",")[0].partition(";")[0].strip().lower()
    code = tag.replace("_", "-").partition("-")[0]
    code = FORMER.get(code, code)
    return code if code in LANGUAGES else None
