//! The published forms of causal masking, and what each says where a job file doesn't.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Specials;
use super::segments::Boundaries;
use super::{CausalMasking, ImageSpans, NumSpans, OverLength, SizeHints, SpansAcross};

/// The published forms of causal masking.
///
/// | variant | is given | spans | where they overlap | sentinels | loss on them | when too long |
/// | --- | --- | --- | --- | --- | --- | --- |
/// | `paper` | a document | 1 to 16 | `n * n` candidates | 16 | no | `drop_end` |
/// | `fairseq` | a document, in pieces of `max_tokens` | 1 to 255 | `n * n` candidates | 256 | no | `drop_end` |
/// | `incoder` | a document | 1 to 256, truncated | the whole set is drawn again | 256 | no | `drop_end` |
/// | `metaseq` | a packed block | 0 to 511 | `n * n` candidates | 512 | yes | `drop_end` |
/// | `cm3leon` | a packed block | 0 to 511 | `n * n` candidates, then clipped | 512 | yes | `shorten_text` |
///
/// "`n * n` candidates": from the last on, each is accepted that overlaps none accepted before, up to `n`. Two single
/// ends are `floor(u * length)` and `floor(v * length + 0.5)` of sorted uniform draws; of several spans each is rounded
/// before it is ordered. Unlike the published code, no span is ever empty: an empty candidate is drawn again, up to 16
/// times, then dropped; `reference_compat` has it as published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// The CM3 paper (arXiv 2201.07520 section 2): masked per document, before packing.
    ///
    /// The paper leaves open how spans are placed without overlap; here that is the way of the code published later.
    Paper,
    /// The CM3 code (fairseq branch `cm3_os`, `fairseq/data/causal_masked_dataset.py`).
    Fairseq,
    /// InCoder (arXiv 2204.05999 section 2.1).
    ///
    /// Where 1000 sets of spans in a row had an overlap, one fewer is drawn; the paper doesn't bound its tries.
    Incoder,
    /// metaseq's later code (`metaseq/data/cm3_dataset.py` on `main`): a packed block, with spans across its documents.
    Metaseq,
    /// CM3Leon (the same file on `cm3leon_sft` and `cm3v2`): spans are clipped to stretches between break tokens, and
    /// the block's first token never moves.
    Cm3leon,
}

/// What an objective is given to mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A document, which then ends in its token.
    Document,
    /// A document in pieces of at most so many tokens as an example has.
    Pieces,
    /// A block that is as long as a row, and must stay so.
    Block,
}

/// What is done with drawn spans that overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpanPlacement {
    AcceptFitting,
    RedrawAll,
}

/// Settings with the variant's defaults filled in.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) num_spans: NumSpans,
    pub(super) lambda: f64,
    pub(super) min_spans: u32,
    pub(super) max_spans: u32,
    pub(super) placement: SpanPlacement,
    pub(super) keeps_first_token: bool,
    pub(super) segments: Option<Boundaries>,
    pub(super) full_segments: f64,
    pub(super) image_spans: ImageSpans,
    pub(super) loss_on_sentinels: bool,
    pub(super) max_tokens: Option<u32>,
    pub(super) over_length: OverLength,
    pub(super) size_hints: Option<SizeHints>,
    pub(super) retrieved_loss_weight: f64,
    pub(super) as_reference: bool,
}

impl Variant {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Paper => "causal_masking/paper",
            Self::Fairseq => "causal_masking/fairseq",
            Self::Incoder => "causal_masking/incoder",
            Self::Metaseq => "causal_masking/metaseq",
            Self::Cm3leon => "causal_masking/cm3leon",
        }
    }

    pub(super) fn unit(self) -> Unit {
        match self {
            Self::Paper | Self::Incoder => Unit::Document,
            Self::Fairseq => Unit::Pieces,
            Self::Metaseq | Self::Cm3leon => Unit::Block,
        }
    }

    pub(super) fn num_sentinels(self) -> u32 {
        match self {
            Self::Paper => 16,
            Self::Fairseq | Self::Incoder => 256,
            Self::Metaseq | Self::Cm3leon => 512,
        }
    }

    pub(super) fn min_spans(self) -> u32 {
        u32::from(self.unit() != Unit::Block)
    }

    // metaseq and fairseq never use their last sentinel.
    pub(super) fn max_spans(self, num_sentinels: u32) -> u32 {
        match self {
            Self::Paper | Self::Incoder => num_sentinels,
            Self::Fairseq | Self::Metaseq | Self::Cm3leon => num_sentinels.saturating_sub(1).max(1),
        }
    }

    fn spans_across(self) -> SpansAcross {
        match self {
            Self::Cm3leon => SpansAcross::Clip,
            _ => SpansAcross::Allow,
        }
    }

    fn over_length(self) -> OverLength {
        match self {
            Self::Cm3leon => OverLength::ShortenText,
            _ => OverLength::DropEnd,
        }
    }

    fn boundaries(self, specials: &Specials) -> Boundaries {
        match self {
            Self::Cm3leon => Boundaries { token: specials.break_, lead: false },
            _ => Boundaries { token: specials.end_of_document, lead: true },
        }
    }
}

impl CausalMasking {
    /// How many of the vocabulary's sentinels are used at most.
    pub(super) fn num_sentinels(&self) -> u32 {
        self.num_sentinels.unwrap_or(self.variant.num_sentinels().max(self.max_spans.unwrap_or(0)))
    }

    /// Whether spans are clipped to segments.
    pub(super) fn clips(&self) -> bool {
        self.spans_across.unwrap_or(self.variant.spans_across()) == SpansAcross::Clip
    }

    /// These settings with the variant's own where there are none, within what the vocabulary has.
    pub(super) fn rules(&self, specials: &Specials) -> Rules {
        let variant = self.variant;
        // A span without a sentinel of its own would take some other token's id.
        let num_sentinels = self.num_sentinels().min(specials.num_sentinels);
        let max_spans = self.max_spans.unwrap_or(variant.max_spans(num_sentinels)).min(num_sentinels);
        Rules {
            name: variant.name(),
            unit: variant.unit(),
            num_spans: self.num_spans,
            lambda: self.lambda,
            min_spans: self.min_spans.unwrap_or(variant.min_spans()).min(max_spans),
            max_spans,
            placement: match variant {
                Variant::Incoder => SpanPlacement::RedrawAll,
                _ => SpanPlacement::AcceptFitting,
            },
            keeps_first_token: variant == Variant::Cm3leon,
            segments: self.clips().then(|| variant.boundaries(specials)),
            full_segments: self.full_document_rotation,
            image_spans: self.image_spans,
            loss_on_sentinels: self.loss_on_sentinels.unwrap_or(variant.unit() == Unit::Block),
            max_tokens: self.max_tokens.map(std::num::NonZeroU32::get),
            over_length: self.over_length.unwrap_or(variant.over_length()),
            size_hints: self.size_hints.clone(),
            retrieved_loss_weight: self.retrieved_loss_weight,
            as_reference: self.reference_compat,
        }
    }
}
