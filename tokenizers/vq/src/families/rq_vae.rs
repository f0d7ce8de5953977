//! Residual quantisation (kakaobrain/rq-vae-transformer, `rqvae/models/rqvae`, Apache-2.0): taming's encoder, and several
//! ids for each place.

use serde::Deserialize;
use serde_json::Value;

use super::builder::{Builder, Style, TensorNames};
use super::ddconfig::Vqgan;
use super::{Architecture, Bounded, Family, Sides, Taken, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{Books, DecodePlan, Meaning, Plan, Quantiser};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "rq_vae", publishes: |_| false, read };

/// What its configurations have under `arch.hparams`, and `ddconfig` beside it.
#[derive(Debug, Clone, Deserialize)]
struct Settings {
    #[serde(flatten)]
    vqgan: Vqgan,
    /// Rows, columns and numbers of the encoder's grid.
    latent_shape: [usize; 3],
    /// Rows and columns of the grid of ids, and the ids for each place.
    code_shape: [usize; 3],
    shared_codebook: bool,
}

fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let settings: Settings = settings(config)?;
    settings.vqgan.check()?;
    let ([rows, columns, numbers], [code_rows, code_columns, depth]) = (settings.latent_shape, settings.code_shape);
    Bounded("the last of `code_shape`", depth).within(1, 64)?;
    if [rows, columns] != [code_rows, code_columns] || numbers != settings.vqgan.embed_dim {
        return Err(format!(
            "`latent_shape` is {:?} and `code_shape` {:?}; both grids are the same, and the latent has `embed_dim` numbers",
            settings.latent_shape, settings.code_shape
        ));
    }
    let Sides { image, place } = settings.sides();
    let side = (image / place) as usize;
    if [rows, columns] != [side, side] {
        let [given, found] = [settings.code_shape, [side, side, depth]];
        return Err(format!("`code_shape` is {given:?}, but `ddconfig` makes a grid of {found:?}"));
    }
    Ok(Box::new(settings))
}

/// What the names of all codebooks begin with; averages that training keeps beside them are no part of the encoder.
const BOOKS: &str = "quantizer.codebooks.";

fn name_of_book(book: usize) -> String {
    format!("{BOOKS}{book}.weight")
}

impl Settings {
    fn depth(&self) -> usize {
        self.code_shape[2]
    }

    /// Without the last row of each book, which pads and is never chosen.
    fn books(&self, builder: &mut Builder) -> Result<Books, VqError> {
        let (count, dimension) = (self.vqgan.n_embed as usize, self.vqgan.embed_dim);
        let different = if self.shared_codebook { 1 } else { self.depth() };
        let mut books = Vec::with_capacity(different);
        for book in 0..different {
            let mut book = builder.codebook(&name_of_book(book), count + 1, dimension)?;
            book.vectors.truncate(count * dimension);
            book.count = count;
            books.push(book);
        }
        // A book that is shared is stored once for each step.
        for copy in different..self.depth() {
            let name = name_of_book(copy);
            if builder.checkpoint.has(&name)
                && builder.tensor(&name, &[count + 1, dimension])?[..count * dimension] != books[0].vectors
            {
                let reason = "is another codebook than the first, though `shared_codebook` is true".to_owned();
                return Err(VqError::Tensor { path: builder.checkpoint.path().to_owned(), name, reason });
            }
        }
        Ok(Books { books, depth: self.depth() })
    }
}

impl Architecture for Settings {
    fn sides(&self) -> Sides {
        self.vqgan.ddconfig.sides()
    }

    fn codes_per_cell(&self) -> u32 {
        self.depth() as u32
    }

    fn codebook_size(&self) -> u32 {
        self.vqgan.n_embed
    }

    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::TORCHVISION
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let books = checkpoint.names().filter(|name| name.starts_with(BOOKS) && name.ends_with(".weight"));
        let mut prefixes: Vec<String> = books.map(str::to_owned).collect();
        prefixes.extend(["encoder.", "quant_conv."].map(str::to_owned));
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), Style::TAMING);
        self.vqgan.encode(&mut builder)?;
        let quantiser = Quantiser::Residual(self.books(&mut builder)?);
        let plan = Plan { size, input: Range::SIGNED, ops: builder.ops, quantiser };
        Ok(Taken { plan, prefixes })
    }

    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), Style::TAMING);
        let codes = Meaning::Sum(self.books(&mut builder)?);
        self.vqgan.decode(&mut builder)?;
        let plan = DecodePlan { grid, codes, ops: builder.ops, output: Range::SIGNED };
        Ok(Taken::new(plan, ["decoder.", "post_quant_conv."]))
    }
}
