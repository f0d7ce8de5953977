//! The job's text tokenizer, as objectives ask it for the text of tokens.

use std::sync::Arc;

use pageloom_tokenizers::text::TextTokenizer;
use pageloom_tokenizers::texts::TokenTexts;

use crate::objectives::{TextTokens, TokenId};

#[derive(Debug)]
struct OfJob {
    tokenizer: Arc<TextTokenizer>,
    texts: TokenTexts,
}

/// The text of a tokenizer's tokens.
pub fn text_tokens(tokenizer: &Arc<TextTokenizer>) -> Arc<dyn TextTokens> {
    Arc::new(OfJob { tokenizer: tokenizer.clone(), texts: tokenizer.token_texts() })
}

impl TextTokens for OfJob {
    fn text(&self, tokens: &[TokenId]) -> Option<String> {
        self.texts.text(tokens)
    }

    fn tokens(&self, text: &str) -> Vec<TokenId> {
        // A tokenizer that gives texts back refuses none; others are asked for the text of tokens alone.
        self.tokenizer.encode(text).unwrap_or_default()
    }
}
