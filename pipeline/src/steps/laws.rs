//! What must hold for every registered step.

use arrow::array::RecordBatch;

use super::StepConfig;
use super::fixture::{Prepared, every_step, fresh, resources, together};
use crate::step::{Reject, Rejects, Step};

type Outcome = (RecordBatch, Vec<Reject>, Vec<Reject>);

fn process(prepared: &Prepared, step: &dyn Step, rows: RecordBatch) -> Outcome {
    let mut rejects = Rejects::new(prepared.kind, prepared.config.name());
    let kept = step.process(rows, &mut rejects).unwrap();
    let (refused, dropped) = rejects.into_parts();
    (fresh(&kept), refused, dropped)
}

fn for_each_step(check: impl Fn(&Prepared, &dyn Step)) {
    let resources = resources();
    for prepared in every_step(&resources) {
        check(&prepared, prepared.config.build(&resources).unwrap().as_ref());
    }
}

#[test]
fn the_schema_promised_is_the_schema_returned() {
    for_each_step(|prepared, step| {
        let promised = prepared.config.columns().apply(&prepared.rows.schema()).unwrap();
        let (kept, ..) = process(prepared, step, prepared.rows.clone());
        assert_eq!(kept.schema(), promised, "{}", prepared.config.name());
    });
}

#[test]
fn every_row_in_is_a_row_out_or_a_reject() {
    for_each_step(|prepared, step| {
        let (kept, refused, _) = process(prepared, step, prepared.rows.clone());
        assert!(kept.num_rows() > 0, "{} keeps nothing, so that nothing is tested", prepared.config.name());
        assert_eq!(kept.num_rows() + refused.len(), prepared.rows.num_rows(), "{}", prepared.config.name());
    });
}

#[test]
fn where_a_batch_is_cut_makes_no_difference() {
    for_each_step(|prepared, step| {
        let rows = &prepared.rows;
        let whole = process(prepared, step, rows.clone());
        let cut = rows.num_rows() / 3;
        let first = process(prepared, step, rows.slice(0, cut));
        let rest = process(prepared, step, rows.slice(cut, rows.num_rows() - cut));
        let parts = (fresh(&together(&first.0, &rest.0)), [first.1, rest.1].concat(), [first.2, rest.2].concat());
        assert_eq!(whole, parts, "{}", prepared.config.name());
    });
}

#[test]
fn twice_gives_the_same() {
    for_each_step(|prepared, step| {
        let [once, twice] = [(); 2].map(|()| process(prepared, step, prepared.rows.clone()));
        assert_eq!(once, twice, "{}", prepared.config.name());
    });
}

#[test]
fn no_rows_in_are_no_rows_out() {
    for_each_step(|prepared, step| {
        let (kept, refused, dropped) = process(prepared, step, prepared.rows.slice(0, 0));
        assert_eq!((kept.num_rows(), refused, dropped), (0, vec![], vec![]), "{}", prepared.config.name());
        let promised = prepared.config.columns().apply(&prepared.rows.schema()).unwrap();
        assert_eq!(kept.schema(), promised, "{}", prepared.config.name());
    });
}

#[test]
fn a_reject_names_its_step_its_row_and_a_reason_that_can_be_counted() {
    for_each_step(|prepared, step| {
        let (_, refused, dropped) = process(prepared, step, prepared.rows.clone());
        for reject in refused.iter().chain(&dropped) {
            assert_eq!(reject.step, prepared.config.name());
            assert!(!reject.url.is_empty() && reject.key.len() == 32, "{reject:?}");
            let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(reject.reason.bytes().all(is_word) && !reject.detail.is_empty(), "{reject:?}");
        }
    });
}

#[test]
fn settings_survive_json_and_refuse_unknown_keys() {
    for config in StepConfig::examples() {
        let json = serde_json::to_value(&config).unwrap();
        assert_eq!(serde_json::from_value::<StepConfig>(json.clone()).unwrap(), config);
        let mut strange = json;
        strange[config.name()]["no_such_setting"] = 1.into();
        assert!(serde_json::from_value::<StepConfig>(strange).is_err(), "{}", config.name());
    }
}

#[test]
fn the_examples_have_nothing_to_complain_of() {
    for config in StepConfig::examples() {
        assert_eq!(config.check(), Vec::<String>::new(), "{}", config.name());
    }
}
