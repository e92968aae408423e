//! Writing XML. Reading it is not needed: no protocol here takes XML in.

/// A growing XML text.
#[derive(Default)]
pub(super) struct Xml(String);

impl Xml {
    /// Text as content; what XML gives a meaning is escaped, what it can't hold is left out.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                // A parser would read a bare carriage return as a newline.
                '\r' => self.0.push_str("&#13;"),
                '\t' | '\n' => self.0.push(c),
                c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => {}
                c => self.0.push(c),
            }
        }
    }

    /// An element with what `content` writes.
    pub(super) fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
        content(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element with text.
    pub(super) fn leaf(&mut self, name: &str, text: &str) {
        self.element(name, |xml| xml.text(text));
    }

    /// A document whose root has a namespace.
    pub(super) fn document(name: &str, namespace: &str, content: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned());
        if namespace.is_empty() {
            xml.element(name, content);
        } else {
            for part in ["<", name, " xmlns=\"", namespace, "\">"] {
                xml.0.push_str(part);
            }
            content(&mut xml);
            for part in ["</", name, ">"] {
                xml.0.push_str(part);
            }
        }
        xml.0
    }
}
