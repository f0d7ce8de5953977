//! Where html5ever leaves the standard. Tests have the parser follow it there, so that all the rest can be compared.

use crate::html::parse::builder::Builder;
use crate::html::parse::names::{HTML_POINT, Name, Namespace, SPECIAL, TEXT_POINT};
use crate::html::parse::open::Open;

/// Whose rules to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// The standard's.
    Standard,
    /// Those of html5ever 0.40.
    Html5ever,
}

impl Builder<'_> {
    /// What the rules ask about an element. html5ever counts `isindex` as special, and neither `search`, nor `keygen`, nor
    /// any foreign element; and `annotation-xml` ends no scope.
    #[inline]
    pub(super) fn flags_of(&self, name: Name, namespace: Namespace) -> u16 {
        let flags = name.flags(namespace);
        if self.rules == Rules::Standard {
            return flags;
        }
        match (namespace, name) {
            (Namespace::Html, Name::Isindex) => flags | SPECIAL,
            (Namespace::Html, Name::Search | Name::Keygen) => flags & !SPECIAL,
            (Namespace::Html, _) => flags,
            (_, Name::AnnotationXml) => 0,
            _ => flags & !SPECIAL,
        }
    }

    /// The sections of a table that another one ends. html5ever has `table` for `thead`.
    pub(super) fn sections(&self) -> [Name; 3] {
        match self.rules {
            Rules::Standard => [Name::Tbody, Name::Thead, Name::Tfoot],
            Rules::Html5ever => [Name::Tbody, Name::Table, Name::Tfoot],
        }
    }

    /// Whether a foreign element holds HTML, so that a stray HTML tag closes none around it. html5ever forgets
    /// `annotation-xml`.
    pub(super) fn stops_stray_html(&self, open: Open) -> bool {
        let forgotten = self.rules == Rules::Html5ever && open.name == Name::AnnotationXml;
        open.flags & (TEXT_POINT | HTML_POINT) != 0 && !forgotten
    }

    /// Whether a document type in a table parts the text around it. For html5ever it does not.
    pub(super) fn doctype_parts_table_text(&self) -> bool {
        self.rules == Rules::Standard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::parse::parse_by;
    use crate::html::tree::{Limits, reference};

    fn bodies(page: &str) -> [String; 3] {
        let limits = Limits::default();
        let ours = [Rules::Standard, Rules::Html5ever].map(|rules| parse_by(rules, page, &limits).unwrap().outline());
        let [standard, imitated] = ours;
        let before_body = |outline: String| {
            let lines = outline.lines().skip_while(|line| *line != "|   <body>").skip(1);
            lines.map(|line| line.trim_start_matches("|     ")).collect::<Vec<_>>().join("\n")
        };
        [standard, imitated, reference::parse(page, &limits).unwrap().outline()].map(before_body)
    }

    /// What the standard makes of a page's body, and what html5ever does.
    fn check(page: &str, standard: &str, html5ever: &str) {
        assert_eq!(bodies(page), [standard, html5ever, html5ever], "{page}");
    }

    #[test]
    fn search_is_special_and_isindex_is_not() {
        check("<a><search><a>", "<a>\n<search>\n  <a>\n  <a>", "<a>\n  <search>\n<a>");
        check("<u><isindex></u>", "<u>\n  <isindex>", "<u>\n<isindex>\n  <u>");
    }

    #[test]
    fn foreign_elements_that_hold_html_are_special() {
        let tree = "<x-y>\n  <svg svg>\n    <svg desc>";
        check("<x-y><svg><desc></x-y>x", &format!("{tree}\n      \"x\""), &format!("{tree}\n\"x\""));
    }

    #[test]
    fn an_annotation_ends_scopes() {
        let tree = "<p>\n  <math math>\n    <math annotation-xml>\n      encoding=\"text/html\"";
        let page = "<p><math><annotation-xml encoding=text/html><p>";
        check(page, &format!("{tree}\n      <p>"), &format!("{tree}\n<p>"));
    }

    #[test]
    fn an_annotation_keeps_stray_html() {
        let tree = "<math math>\n  <math annotation-xml>\n    encoding=\"text/html\"\n    <svg svg>";
        let page = "<math><annotation-xml encoding=text/html><svg><b>";
        check(page, &format!("{tree}\n    <b>"), &format!("{tree}\n<b>"));
    }

    #[test]
    fn a_head_of_a_table_is_ended_in_a_template() {
        let tree = "<template>\n  content\n    <thead>\n      <tr>";
        check("<body><template><thead><tr></tr><tbody>", &format!("{tree}\n    <tbody>"), tree);
    }

    #[test]
    fn a_document_type_parts_text_in_a_table() {
        check("<table> <!doctype>w", "\"w\"\n<table>\n  \" \"", "\" w\"\n<table>");
    }

    #[test]
    fn a_document_type_of_silmaril_is_quirky() {
        let page = "<!doctype html public '+//Silmaril//dtd html Pro v0r11 19970101//'><p><table>";
        let [standard, _, html5ever] = bodies(page);
        assert_eq!([standard.as_str(), html5ever.as_str()], ["<p>\n  <table>", "<p>\n<table>"]);
    }

    #[test]
    fn an_error_does_not_save_a_line_feed() {
        let [standard, _, html5ever] = bodies("<pre></>\nx");
        assert_eq!([standard.as_str(), html5ever.as_str()], ["<pre>\n  \"x\"", "<pre>\n  \"\nx\""]);
    }
}
