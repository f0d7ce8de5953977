//! Objectives: each turns one tokenised document into one training example, and back.

mod bidirectional_causal;
mod biphasic;
mod blank_infilling;
mod causal_masking;
mod characters;
mod context_permutation;
mod example;
mod fim;
mod hidden;
mod hybrid_causal_masked;
mod left_out;
mod left_to_right;
mod masked_diffusion;
mod mixture;
mod mlm;
mod mntp;
mod pieces;
mod prefix_lm;
mod span_corruption;
mod two_segments;
mod ul2;

use std::fmt::Debug;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::random::KeyedRandom;
pub use crate::specials::{Specials, TokenId};
pub use bidirectional_causal::{BidirectionalCausal, Branches};
pub use biphasic::{Biphasic, Phases};
pub use blank_infilling::BlankInfilling;
pub use causal_masking::{CausalMasking, ImageSpans, NumSpans, OverLength, SizeHints, SpansAcross, Variant};
pub use characters::TextTokens;
pub(crate) use characters::ends_sentence;
pub use context_permutation::{ContextPermutation, PassageOrder};
pub(crate) use example::runs_within;
pub use example::{Example, NO_LOSS, NotInvertible, Passage, Predicts, TokenColumns, TokenDocument};
pub use fim::{Cuts, Fim, Level, Spm};
pub use hybrid_causal_masked::HybridCausalMasked;
pub use left_to_right::LeftToRight;
pub use masked_diffusion::{DiffusionRate, MaskedDiffusion};
pub use mixture::{Mixture, Part};
pub use mlm::{Mlm, MlmRule, NextSentence};
pub use mntp::Mntp;
pub use prefix_lm::PrefixLm;
pub use span_corruption::SpanCorruption;
pub use ul2::Ul2;

/// Turns one tokenised document into one training example, or into a few that belong together.
///
/// A few, because complementary masks share their draws, and a document in pieces shares its stream. An author returns
/// a list; nobody has to declare its length, and a mixture of objectives needs no common number. The same document
/// and the same stream always give the same list, so each of its examples can be made again alone.
pub trait Objective: Debug + Send + Sync {
    /// The examples of this document, of which most objectives have one.
    fn apply(&self, document: &TokenDocument, random: &mut KeyedRandom) -> Vec<Example>;

    /// The document's tokens again, as far as the example's `source` says that they are in it.
    fn invert(&self, example: &Example) -> Result<Vec<TokenId>, NotInvertible>;
}

/// What a job file says about an objective.
pub trait ObjectiveSettings: Serialize + DeserializeOwned {
    /// Used in the docs and by the tests that every objective must pass.
    fn example() -> Self;

    /// What is wrong with these settings in a job with this many sentinels, in the user's words.
    fn check(&self, num_sentinels: u32) -> Vec<String>;

    /// The objective. Settings that `check` finds wrong still build one that gives valid tokens.
    fn build(&self, specials: &Specials) -> Arc<dyn Objective>;

    /// The objective that asks for the text of tokens where it [reads text](Self::reads_text).
    fn build_with_text(&self, specials: &Specials, _: &Arc<dyn TextTokens>) -> Arc<dyn Objective> {
        self.build(specials)
    }

    /// Whether the objective needs the text of tokens to be what it says. Without, it does what it can with tokens.
    fn reads_text(&self) -> bool {
        false
    }

    /// Whether parts of a text become tokens of their own: then texts of a job's tokens have to add up.
    fn cuts_text(&self) -> bool {
        false
    }

    /// Whether the objective is published for packed blocks of several documents: see [`crate::blocks`].
    fn takes_blocks(&self) -> bool {
        false
    }

    /// How its blocks are two segments of which one may follow the other: see [`crate::next_sentence`]. None where blocks are
    /// documents end to end.
    fn next_sentence(&self) -> Option<NextSentence> {
        None
    }

    /// The values per token that some of its examples have beside ids and labels.
    fn token_columns(&self) -> TokenColumns {
        TokenColumns::default()
    }

    /// Which time through its document an example of this part and branch belongs to. The examples of one pass share the
    /// document's tokens among them, and those of another have them once more.
    fn pass(&self, part: u32, branch: u32) -> u32 {
        self.phase(part, branch)
    }

    /// Which phase of training an example of this part and branch is for, below [`num_phases`](Self::num_phases). No row
    /// has examples of two: see [`crate::packing::PerPhase`].
    fn phase(&self, _part: u32, _branch: u32) -> u32 {
        0
    }

    /// How many phases of training its examples are for, one after the other.
    fn num_phases(&self) -> u32 {
        1
    }

    /// Whether all of its examples can be inverted: not where published code is followed in losing tokens.
    fn is_invertible(&self) -> bool {
        true
    }
}

/// Makes the enum that a job file's `objective` table names, from the one list of all objectives.
macro_rules! register {
    ($($(#[$about:meta])* $variant:ident($settings:ty),)+) => {
        /// The objective of a job, as its job file writes it: `causal_masking = { lambda = 1.0 }`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ObjectiveConfig {
            $($(#[$about])* $variant($settings),)+
        }

        impl ObjectiveConfig {
            /// One of each registered objective.
            pub fn examples() -> Vec<Self> {
                vec![$(Self::$variant(<$settings>::example()),)+]
            }

            /// What is wrong with the settings in a job with this many sentinels, in the user's words.
            pub fn check(&self, num_sentinels: u32) -> Vec<String> {
                match self { $(Self::$variant(settings) => settings.check(num_sentinels),)+ }
            }

            /// The objective of these settings.
            pub fn build(&self, specials: &Specials) -> Arc<dyn Objective> {
                match self { $(Self::$variant(settings) => settings.build(specials),)+ }
            }

            /// The objective of these settings, which may ask for the text of tokens.
            pub fn build_with_text(&self, specials: &Specials, text: &Arc<dyn TextTokens>) -> Arc<dyn Objective> {
                match self { $(Self::$variant(settings) => settings.build_with_text(specials, text),)+ }
            }

            /// Whether the objective needs the text of tokens to be what it says.
            pub fn reads_text(&self) -> bool {
                match self { $(Self::$variant(settings) => settings.reads_text(),)+ }
            }

            /// Whether parts of a text become tokens of their own: then texts of a job's tokens have to add up.
            pub fn cuts_text(&self) -> bool {
                match self { $(Self::$variant(settings) => settings.cuts_text(),)+ }
            }

            /// Whether the objective is published for packed blocks of several documents.
            pub fn takes_blocks(&self) -> bool {
                match self { $(Self::$variant(settings) => settings.takes_blocks(),)+ }
            }

            /// How its blocks are two segments of which one may follow the other.
            pub fn next_sentence(&self) -> Option<NextSentence> {
                match self { $(Self::$variant(settings) => settings.next_sentence(),)+ }
            }

            /// The values per token that some of its examples have beside ids and labels.
            pub fn token_columns(&self) -> TokenColumns {
                match self { $(Self::$variant(settings) => settings.token_columns(),)+ }
            }

            /// Which time through its document an example of this part and branch belongs to.
            pub fn pass(&self, part: u32, branch: u32) -> u32 {
                match self { $(Self::$variant(settings) => settings.pass(part, branch),)+ }
            }

            /// Which phase of training an example of this part and branch is for.
            pub fn phase(&self, part: u32, branch: u32) -> u32 {
                match self { $(Self::$variant(settings) => settings.phase(part, branch),)+ }
            }

            /// How many phases of training its examples are for.
            pub fn num_phases(&self) -> u32 {
                match self { $(Self::$variant(settings) => settings.num_phases(),)+ }
            }

            /// Whether all of its examples can be inverted.
            pub fn is_invertible(&self) -> bool {
                match self { $(Self::$variant(settings) => settings.is_invertible(),)+ }
            }
        }
    };
}

register! {
    /// The tokens as they are.
    LeftToRight(LeftToRight),
    /// A few long spans moved to the end, behind their sentinels.
    CausalMasking(CausalMasking),
    /// The middle moved to the end, to be filled in.
    Fim(Fim),
    /// A prefix shown in both directions, the rest predicted.
    PrefixLm(PrefixLm),
    /// Short spans replaced by sentinels and predicted.
    SpanCorruption(SpanCorruption),
    /// Denoisers of several kinds, each announced by a token.
    Ul2(Ul2),
    /// Hidden tokens predicted from both sides.
    Mlm(Mlm),
    /// Hidden tokens predicted by the position before them.
    Mntp(Mntp),
    /// Most documents with hidden tokens, some left to right.
    HybridCausalMasked(HybridCausalMasked),
    /// Each document for a causal phase and for a masked one.
    Biphasic(Biphasic),
    /// Left to right, or hidden tokens that no position sees.
    BidirectionalCausal(BidirectionalCausal),
    /// A drawn share of tokens hidden.
    MaskedDiffusion(MaskedDiffusion),
    /// Spans replaced by masks, and predicted in random order.
    BlankInfilling(BlankInfilling),
    /// The passages of a context in another order.
    ContextPermutation(ContextPermutation),
    /// One of several objectives, drawn for each document.
    Mixture(Mixture),
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;
