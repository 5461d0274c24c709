//! Values in XML text, found by the names of their elements.
//!
//! The products that are read here have flat metadata whose names are unique
//! where they matter, so no tree is built.

/// An element: `<name attributes>content</name>`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Element<'a> {
    attributes: &'a str,
    /// What stands between its tags; empty for `<name/>`.
    pub content: &'a str,
}

impl<'a> Element<'a> {
    /// The value of the attribute called `name`.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        attribute(self.attributes, name)
    }
}

/// The elements called `name` in `text`, in order, wherever they stand. A
/// prefix is a part of the name. Elements inside one of the same name are
/// not looked for.
pub(super) fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = Element<'a>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (_, tail) = rest.split_once('<')?;
            rest = tail;
            let Some(tail) = tail.strip_prefix(name) else { continue };
            if !tail.starts_with(|c: char| c.is_whitespace() || c == '>' || c == '/') {
                continue;
            }
            let (attributes, inside) = tail.split_once('>')?;
            if let Some(attributes) = attributes.strip_suffix('/') {
                rest = inside;
                return Some(Element { attributes, content: "" });
            }
            let (content, after) = inside.split_once(&format!("</{name}>"))?;
            rest = after;
            return Some(Element { attributes, content });
        }
    })
}

/// What the first element called `name` holds, without the spaces around it.
pub(super) fn content<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    elements(text, name).map(|element| element.content.trim()).next()
}

/// `text` with the signs that XML writes by names.
pub(super) fn plain(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    // The last one last: `&amp;lt;` is `&lt;`.
    named.iter().fold(text.to_owned(), |text, (name, sign)| text.replace(name, sign))
}

/// The value of the first attribute called `name` in `text`.
pub(super) fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let at = rest.find(name)?;
        let (before, after) = (&rest[..at], rest[at + name.len()..].trim_start());
        rest = &rest[at + name.len()..];
        if !before.is_empty() && !before.ends_with(char::is_whitespace) {
            continue;
        }
        let Some(value) = after.strip_prefix('=').map(str::trim_start) else { continue };
        let Some(quote @ ('"' | '\'')) = value.chars().next() else { continue };
        return value[1..].split_once(quote).map(|(value, _)| value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "<a:List kind='x'><Item id=\"1\" uid=\"9\"> one </Item><Items>no</Items>\
                        <Item id = '2'/><Item id=\"3\">three</Item></a:List>";

    #[test]
    fn signs_are_read_by_their_names() {
        assert_eq!(plain("a &amp; b&lt;c&gt; &amp;lt; &quot;&apos;"), "a & b<c> &lt; \"'");
    }

    #[test]
    fn elements_are_found_by_their_whole_name() {
        let items: Vec<_> = elements(TEXT, "Item").collect();
        let ids: Vec<_> = items.iter().map(|item| item.attribute("id").unwrap()).collect();
        assert_eq!(ids, ["1", "2", "3"]);
        assert_eq!(items[2].content, "three");
        assert_eq!(content(TEXT, "Item"), Some("one"));
        assert_eq!(content(TEXT, "Items"), Some("no"));
        assert_eq!(elements(TEXT, "a:List").next().unwrap().attribute("kind"), Some("x"));
        assert_eq!(content(TEXT, "List"), None);
    }

    #[test]
    fn text_that_is_cut_off_ends_the_search() {
        for end in 0..TEXT.len() {
            let found = elements(&TEXT[..end], "Item").count();
            assert!(found <= 3);
            assert_eq!(attribute("id", "id"), None);
        }
        assert_eq!(attribute("uid='9' id='4'", "id"), Some("4"));
    }
}
