//! Hides some tokens and has them predicted from both sides (BERT, arXiv 1810.04805 section 3.1).

use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::example::with_end;
use super::hidden::{Replacement, all_seen, each_by_itself, reveal, stand_in};
use super::two_segments::{laid_out, segments_of, two_segments};
use super::{
    Example, NotInvertible, Objective, ObjectiveSettings, Specials, TextTokens, TokenColumns, TokenDocument, TokenId,
};
use crate::random::KeyedRandom;

/// Settings of `mlm`. Random tokens are drawn from text; BERT and Hugging Face draw from all ids, specials included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mlm {
    /// How tokens are chosen.
    pub rule: MlmRule,
    /// The share of tokens, or the chance of each, to be predicted.
    pub probability: f64,
    /// No document has more predicted tokens than this under the rule `bert`, which has 20 per 128 tokens.
    pub max_predictions: Option<u32>,
    /// In this share of predicted positions stands a random token instead of a mask.
    pub random_share: f64,
    /// In this share of predicted positions the token itself stays.
    pub keep_share: f64,
    /// Whether the tokens of a word are predicted together, under the rule `bert`: words are drawn until there are as
    /// many tokens, and one that has too many is passed over (BERT's `do_whole_word_mask`).
    ///
    /// A word is what letters and digits stand together in the text; any other token is one by itself.
    pub whole_words: bool,
    /// Whether examples are `[CLS] A [SEP] B [SEP]`, where B follows A half of the time and is from another document else,
    /// under the rule `bert`. `<bod>` stands for `[CLS]`, `<eod>` for both `[SEP]`; see [`crate::next_sentence`].
    ///
    /// Rows say which segment each token is in (`token_type_ids`), and 1 where B is from another document, 0 where it
    /// follows (`next_sentence_label`).
    #[serde(skip_serializing_if = "is_false")]
    pub next_sentence: bool,
    /// With `next_sentence`, the chance of a document to be cut into pairs of a drawn length, and not as long as fit.
    #[serde(skip_serializing_if = "is_bert_s")]
    pub short_seq_prob: f64,
}

// What is as it was before there was a choice leaves no trace in the digest of a job.
fn is_false(next_sentence: &bool) -> bool {
    !next_sentence
}

fn is_bert_s(short_seq_prob: &f64) -> bool {
    *short_seq_prob == NextSentence::default().short_seq_prob
}

/// How documents are cut into two segments each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NextSentence {
    /// The chance of a document to be cut into pairs of a drawn length, and not as long as fit.
    pub short_seq_prob: f64,
}

impl Default for NextSentence {
    fn default() -> Self {
        Self { short_seq_prob: 0.1 }
    }
}

/// How the tokens are chosen that are predicted. The end of a document never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MlmRule {
    /// So many of a document's tokens as are the rounded share, but at least one (`create_pretraining_data.py`).
    Bert,
    /// Each token for itself (Hugging Face `DataCollatorForLanguageModeling`).
    HuggingFace,
}

impl Default for Mlm {
    fn default() -> Self {
        Self {
            rule: MlmRule::Bert,
            probability: 0.15,
            max_predictions: None,
            random_share: 0.1,
            keep_share: 0.1,
            whole_words: false,
            next_sentence: false,
            short_seq_prob: NextSentence::default().short_seq_prob,
        }
    }
}

impl Mlm {
    fn replacement(&self) -> Replacement {
        Replacement { random_share: self.random_share, keep_share: self.keep_share }
    }
}

impl ObjectiveSettings for Mlm {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self, _: u32) -> Vec<String> {
        let is_share = (0.0..=1.0).contains(&self.probability);
        let problem = format!("probability is {}, but it must lie between 0 and 1", self.probability);
        let no_words = (self.whole_words && self.rule != MlmRule::Bert)
            .then(|| "whole_words are drawn by the rule `bert`: choose that, or leave it out".to_owned());
        let no_pairs = (self.next_sentence && self.rule != MlmRule::Bert)
            .then(|| "next_sentence is of the rule `bert`: choose that, or leave it out".to_owned());
        let no_chance = (!(0.0..=1.0).contains(&self.short_seq_prob))
            .then(|| format!("short_seq_prob is {}, but it must lie between 0 and 1", self.short_seq_prob));
        let problems = (!is_share).then_some(problem).into_iter().chain(no_words).chain(no_pairs).chain(no_chance);
        problems.chain(self.replacement().problems()).collect()
    }

    fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
        Arc::new(HiddenTokens { settings: self.clone(), specials: *specials, text: None })
    }

    fn build_with_text(&self, specials: &Specials, text: &Arc<dyn TextTokens>) -> Arc<dyn Objective> {
        let text = self.reads_text().then(|| Arc::clone(text));
        Arc::new(HiddenTokens { settings: self.clone(), specials: *specials, text })
    }

    fn reads_text(&self) -> bool {
        self.whole_words
    }

    fn takes_blocks(&self) -> bool {
        self.next_sentence
    }

    fn next_sentence(&self) -> Option<NextSentence> {
        self.next_sentence.then_some(NextSentence { short_seq_prob: self.short_seq_prob })
    }

    fn token_columns(&self) -> TokenColumns {
        TokenColumns { token_type_ids: self.next_sentence, ..TokenColumns::default() }
    }
}

#[derive(Debug)]
struct HiddenTokens {
    settings: Mlm,
    specials: Specials,
    // Where whole words are predicted.
    text: Option<Arc<dyn TextTokens>>,
}

impl Objective for HiddenTokens {
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example> {
        let settings = &self.settings;
        let num_tokens = document.tokens.len() as u32;
        let mut example = match settings.next_sentence {
            true => two_segments(document, &self.specials),
            false => all_seen(document, with_end(&document.tokens, &self.specials)),
        };
        // BERT's share is of all tokens, those around the segments included; a document's end is ours.
        let num_counted = if settings.next_sentence { example.input_ids.len() as u32 } else { num_tokens };
        let rounded = libm::rint(f64::from(num_counted) * settings.probability) as u32;
        let wanted = rounded.max(1).min(settings.max_predictions.unwrap_or(u32::MAX));
        let (chosen, objective) = match (settings.rule, &self.text) {
            (MlmRule::Bert, Some(text)) => {
                let words = self.words(&document.tokens, text.as_ref());
                (whole_words(words, wanted, random), "mlm/bert_whole_words")
            }
            (MlmRule::Bert, None) => {
                let open = self.open(&document.tokens);
                let chosen = random.choose(wanted.min(open.len() as u32), open.len() as u32);
                (chosen.into_iter().map(|index| open[index as usize]).collect(), "mlm/bert")
            }
            (MlmRule::HuggingFace, _) => {
                let mut chosen = each_by_itself(num_tokens, settings.probability, random);
                chosen.retain(|&position| !self.specials.contain(document.tokens[position as usize]));
                (chosen, "mlm/hugging_face")
            }
        };
        example.objective = match (settings.next_sentence, &self.text) {
            (true, None) => "mlm/bert_next_sentence",
            (true, Some(_)) => "mlm/bert_whole_words_next_sentence",
            (false, _) => objective,
        };
        for position in chosen {
            let stand = settings.replacement().draw(random);
            let stand_in = stand_in(stand, document.tokens[position as usize], &self.specials, random);
            let place = if settings.next_sentence { laid_out(document, position) } else { position };
            example.hide(place as usize, stand_in);
        }
        vec![example]
    }

    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible> {
        match self.settings.next_sentence {
            true => segments_of(example, &self.specials),
            false => reveal(example, &self.specials),
        }
    }
}

impl HiddenTokens {
    /// Positions of tokens that may be predicted: specials, such as those around an image, never are.
    fn open(&self, tokens: &[TokenId]) -> Vec<u32> {
        (0..).zip(tokens).filter(|(_, token)| !self.specials.contain(**token)).map(|(position, _)| position).collect()
    }

    // Tokens of one word each, in order.
    fn words(&self, tokens: &[TokenId], text: &dyn TextTokens) -> Vec<Range<u32>> {
        let mut words: Vec<Range<u32>> = Vec::new();
        // Whether a letter, or a part of a character, is what a token ends in.
        let mut goes_on = false;
        for (position, &token) in (0..).zip(tokens) {
            let of_token = if self.specials.is_text(token) { Some(text.text(&[token])) } else { None };
            let (begins, ends) = match &of_token {
                None => (false, false),
                Some(None) => (true, true),
                Some(Some(of_token)) => {
                    let is_of_word = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
                    (is_of_word(of_token.chars().next()), is_of_word(of_token.chars().next_back()))
                }
            };
            match words.last_mut().filter(|_| goes_on && begins) {
                Some(word) => word.end += 1,
                None => words.push(position..position + 1),
            }
            goes_on = ends;
        }
        words
    }
}

// The tokens of words that have as many in all as are wanted, or as near to it as those passed over allow; in order.
fn whole_words(mut words: Vec<Range<u32>>, wanted: u32, random: &mut KeyedRandom) -> Vec<u32> {
    random.shuffle(&mut words);
    let mut chosen = Vec::new();
    for word in words {
        if chosen.len() + word.len() <= wanted as usize {
            chosen.extend(word);
        }
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        BytesAndMerges, END, FIRST_IMAGE_TOKEN, MASK, SPECIALS, check_share, example_of, stream, text,
    };
    use super::super::{NO_LOSS, Predicts};
    use super::*;

    #[test]
    fn specials_are_never_predicted() {
        let around = [SPECIALS.begin_of_image, 10, SPECIALS.end_of_image, 11];
        let document = TokenDocument { tokens: around.repeat(50), ..text(0) };
        for rule in [MlmRule::Bert, MlmRule::HuggingFace] {
            let settings = Mlm { rule, probability: 0.9, ..Mlm::default() };
            let labels = example_of(&settings, &document, 0).labels;
            let specials = labels.iter().filter(|&&label| label != NO_LOSS && SPECIALS.contain(label)).count();
            assert_eq!((specials, labels.contains(&10)), (0, true), "{rule:?}");
        }
    }

    #[test]
    fn only_hidden_tokens_are_learnt_and_where_they_stand() {
        let settings = Mlm { probability: 1.0, random_share: 0.0, keep_share: 0.0, ..Mlm::default() };
        let example = example_of(&settings, &text(3), 0);
        assert_eq!(example.input_ids, [MASK, MASK, MASK, END]);
        assert_eq!(example.labels, [10, 11, 12, NO_LOSS]);
        assert_eq!((example.prefix_len, example.predicts), (4, Predicts::Here));
    }

    #[test]
    fn bert_hides_a_rounded_share_but_at_least_one_and_at_most_the_limit() {
        let settings = Mlm { max_predictions: Some(20), ..Mlm::default() };
        let num_hidden = |num_tokens| {
            let labels = example_of(&settings, &text(num_tokens), 0).labels;
            labels.iter().filter(|&&label| label != NO_LOSS).count()
        };
        assert_eq!([0, 1, 3, 10, 100, 380].map(num_hidden), [0, 1, 1, 2, 15, 20]);
    }

    #[test]
    fn eighty_ten_and_ten_percent_are_masked_random_and_kept() {
        for rule in [MlmRule::Bert, MlmRule::HuggingFace] {
            let (mut hidden, mut masked, mut kept) = (0, 0, 0);
            for number in 0..100_000 {
                let example = example_of(&Mlm { rule, ..Mlm::default() }, &text(20), number);
                let learnt = example.input_ids.iter().zip(&example.labels).filter(|(_, label)| **label != NO_LOSS);
                for (&id, &label) in learnt {
                    hidden += 1;
                    masked += usize::from(id == MASK);
                    kept += usize::from(id == label);
                }
            }
            check_share(masked, hidden, 0.8);
            // One of 400 random tokens is the one that it stands for.
            check_share(kept, hidden, 0.1 + 0.1 / 400.0);
            match rule {
                MlmRule::Bert => assert_eq!(hidden, 300_000),
                MlmRule::HuggingFace => check_share(hidden, 2_000_000, 0.15),
            }
        }
    }

    // "ab", "aba" of two tokens, " ", "é" of two bytes after which "b" goes on, an image's token.
    #[test]
    fn the_tokens_of_a_word_are_letters_that_stand_together() {
        let tokens = [300, 32, 302, 97, 32, 0xc3, 0xa9, 98, 46, 97, FIRST_IMAGE_TOKEN, 98];
        let objective = HiddenTokens { settings: Mlm::default(), specials: SPECIALS, text: None };
        let words = objective.words(&tokens, &BytesAndMerges);
        assert_eq!(words, [0..1, 1..2, 2..4, 4..5, 5..8, 8..9, 9..10, 10..11, 11..12]);
    }

    #[test]
    fn words_are_hidden_whole_each_as_often_and_never_more_than_wanted() {
        let words = [0..2, 2..5, 5..6, 6..8];
        let mut hidden = [0; 4];
        for number in 0..100_000 {
            let chosen = whole_words(words.to_vec(), 2, &mut stream(number));
            assert_eq!(chosen.len() % 2, usize::from(chosen == [5]));
            for (count, word) in hidden.iter_mut().zip(&words) {
                let num_hidden = word.clone().filter(|position| chosen.contains(position)).count();
                assert!(num_hidden == 0 || num_hidden == word.len());
                *count += usize::from(num_hidden > 0);
            }
        }
        // The first in the drawn order of the three that are short enough: one of two tokens leaves no room.
        for (count, share) in hidden.into_iter().zip([1.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0]) {
            check_share(count, 100_000, share);
        }
    }

    #[test]
    fn a_mask_without_a_label_is_not_invertible() {
        let mut example = example_of(&Mlm { keep_share: 0.0, random_share: 0.0, ..Mlm::default() }, &text(1), 0);
        example.labels[0] = NO_LOSS;
        let refused = Mlm::default().build(&super::super::testing::SPECIALS).invert(&example);
        assert_eq!(refused, Err(NotInvertible::Hidden { position: 0 }));
    }
}
