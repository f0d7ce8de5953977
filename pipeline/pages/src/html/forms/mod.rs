//! The forms that pages are written in, one file each: settings as a job says them, and the [`Form`] that they describe.

pub mod cleaned_html;
pub mod htlm_html;
pub mod interleaved_text;
pub mod minimal_html;

use crate::html::form::Form;

/// Every form with its defaults, by the name of its step.
pub fn all() -> Vec<(&'static str, Form)> {
    vec![
        ("minimal_html", minimal_html::Settings::default().form()),
        ("htlm_html", htlm_html::Settings::default().form()),
        ("interleaved_text", interleaved_text::Settings::default().form()),
        ("cleaned_html", cleaned_html::Settings::default().form()),
    ]
}
