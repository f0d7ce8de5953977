//! Document types, and which of them make browsers imitate their ancestors.

/// A document type, in lower case where that is all that matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doctype {
    pub name: Option<String>,
    pub public: Option<String>,
    pub system: Option<String>,
    /// Whether it is so broken that its names don't count.
    pub is_broken: bool,
}

const QUIRKY_PUBLIC: [&str; 3] = ["-//w3o//dtd w3 html strict 3.0//en//", "-/w3c/dtd html 4.0 transitional/en", "html"];

const QUIRKY_SYSTEM: &str = "http://www.ibm.com/data/dtd/v11/ibmxhtml1-transitional.dtd";

const QUIRKY_WITHOUT_SYSTEM: [&str; 2] = ["-//w3c//dtd html 4.01 frameset//", "-//w3c//dtd html 4.01 transitional//"];

const QUIRKY_PREFIXES: [&str; 55] = [
    "+//silmaril//dtd html pro v0r11 19970101//",
    "-//advasoft ltd//dtd html 3.0 aswedit + extensions//",
    "-//as//dtd html 3.0 aswedit + extensions//",
    "-//ietf//dtd html 2.0 level 1//",
    "-//ietf//dtd html 2.0 level 2//",
    "-//ietf//dtd html 2.0 strict level 1//",
    "-//ietf//dtd html 2.0 strict level 2//",
    "-//ietf//dtd html 2.0 strict//",
    "-//ietf//dtd html 2.0//",
    "-//ietf//dtd html 2.1e//",
    "-//ietf//dtd html 3.0//",
    "-//ietf//dtd html 3.2 final//",
    "-//ietf//dtd html 3.2//",
    "-//ietf//dtd html 3//",
    "-//ietf//dtd html level 0//",
    "-//ietf//dtd html level 1//",
    "-//ietf//dtd html level 2//",
    "-//ietf//dtd html level 3//",
    "-//ietf//dtd html strict level 0//",
    "-//ietf//dtd html strict level 1//",
    "-//ietf//dtd html strict level 2//",
    "-//ietf//dtd html strict level 3//",
    "-//ietf//dtd html strict//",
    "-//ietf//dtd html//",
    "-//metrius//dtd metrius presentational//",
    "-//microsoft//dtd internet explorer 2.0 html strict//",
    "-//microsoft//dtd internet explorer 2.0 html//",
    "-//microsoft//dtd internet explorer 2.0 tables//",
    "-//microsoft//dtd internet explorer 3.0 html strict//",
    "-//microsoft//dtd internet explorer 3.0 html//",
    "-//microsoft//dtd internet explorer 3.0 tables//",
    "-//netscape comm. corp.//dtd html//",
    "-//netscape comm. corp.//dtd strict html//",
    "-//o'reilly and associates//dtd html 2.0//",
    "-//o'reilly and associates//dtd html extended 1.0//",
    "-//o'reilly and associates//dtd html extended relaxed 1.0//",
    "-//softquad software//dtd hotmetal pro 6.0::19990601::extensions to html 4.0//",
    "-//softquad//dtd hotmetal pro 4.0::19971010::extensions to html 4.0//",
    "-//spyglass//dtd html 2.0 extended//",
    "-//sq//dtd html 2.0 hotmetal + extensions//",
    "-//sun microsystems corp.//dtd hotjava html//",
    "-//sun microsystems corp.//dtd hotjava strict html//",
    "-//w3c//dtd html 3 1995-03-24//",
    "-//w3c//dtd html 3.2 draft//",
    "-//w3c//dtd html 3.2 final//",
    "-//w3c//dtd html 3.2//",
    "-//w3c//dtd html 3.2s draft//",
    "-//w3c//dtd html 4.0 frameset//",
    "-//w3c//dtd html 4.0 transitional//",
    "-//w3c//dtd html experimental 19960712//",
    "-//w3c//dtd html experimental 970421//",
    "-//w3c//dtd w3 html//",
    "-//w3o//dtd w3 html 3.0//",
    "-//webtechs//dtd mozilla html 2.0//",
    "-//webtechs//dtd mozilla html//",
];

impl Doctype {
    /// Whether the page is laid out in quirks mode (WHATWG HTML, 13.2.6.4.1).
    pub fn is_quirky(&self) -> bool {
        let lower = |text: &Option<String>| text.as_deref().map(str::to_ascii_lowercase);
        let (public, system) = (lower(&self.public), lower(&self.system));
        let begins = |prefixes: &[&str]| {
            public.as_ref().is_some_and(|public| prefixes.iter().any(|prefix| public.starts_with(prefix)))
        };
        self.is_broken
            || self.name.as_deref() != Some("html")
            || public.as_deref().is_some_and(|public| QUIRKY_PUBLIC.contains(&public))
            || system.as_deref() == Some(QUIRKY_SYSTEM)
            || begins(&QUIRKY_PREFIXES)
            || (system.is_none() && begins(&QUIRKY_WITHOUT_SYSTEM))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(public: Option<&str>, system: Option<&str>, is_quirky: bool) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let name = Some("html".to_owned());
        let doctype = Doctype { name, public: owned(public), system: owned(system), is_broken: false };
        assert_eq!(doctype.is_quirky(), is_quirky);
    }

    #[test]
    fn old_document_types_are_quirky() {
        check(None, None, false);
        check(Some("-//W3C//DTD HTML 3.2 Final//EN"), None, true);
        check(Some("-//W3C//DTD HTML 4.01 Transitional//EN"), None, true);
        check(Some("-//W3C//DTD HTML 4.01 Transitional//EN"), Some("http://www.w3.org/TR/html4/loose.dtd"), false);
        assert!(Doctype::default().is_quirky());
    }
}
