//! What the encoder saw of an image, from its source once more.

use pageloom_schemas::{Key, columns};

use crate::engine::commit::commits_of;
use crate::engine::exchange::image_bucket;
use crate::engine::plan::Stage;
use crate::engine::session::session;
use crate::engine::stages::images::located_images;
use crate::engine::step_exec::guarded;
use crate::engine::unit::Run;
use crate::error::{RunError, StepError};
use crate::replay::row_of;
use crate::show_image::sheet::Tile;
use crate::step::Kind;

/// The pixels that the job's steps hand to the encoder; none where the image's file is not what it was.
pub async fn of(run: &Run, key: Key) -> Result<Option<Tile>, RunError> {
    let documents = commits_of(&run.store, Stage::Documents).await?;
    let context = session(&run.store, run.memory_of_unit(), 128)?;
    let located = located_images(&context, run, &documents, image_bucket(&key, run.plan.buckets)).await?;
    match row_of(located, &context, key).await? {
        Some(row) => pixels(run, row),
        None => Ok(None),
    }
}

fn pixels(run: &Run, mut rows: arrow::array::RecordBatch) -> Result<Option<Tile>, RunError> {
    for config in &run.checked.job.images {
        let schema = config.columns().apply(&rows.schema()).map_err(StepError::Bug)?;
        let step = run.checked.step(config)?;
        let process = || guarded(step.as_ref(), Kind::Image, config.name(), &schema, rows);
        rows = match tokio::task::block_in_place(process) {
            Err(StepError::Storage(_)) => return Ok(None),
            done => done?.0,
        };
        if rows.num_rows() == 0 {
            return Ok(None);
        }
        let pixels = columns::pixels();
        if let Ok(pixels) = pixels.of(&rows) {
            let size = run.checked.resources.images.size();
            let one_crop = size.width as usize * size.height as usize * 3;
            return Ok(Some(Tile { size, rgb: pixels.value(0).iter().take(one_crop).copied().collect() }));
        }
    }
    Ok(None)
}
