//! Branch elimination and the proof of determinism against naive references.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::intent::testing::{intent, kind};
use crate::verdict::{CapabilityTier, ReasonCode, Vote};

const MODES: [SafetyMode; 3] = [SafetyMode::Normal, SafetyMode::Protected, SafetyMode::ReadOnly];

fn branch(id: &str, all: SafetyFlags, no: SafetyFlags, module: &str) -> Branch {
    Branch {
        id: id.parse().unwrap(),
        all_flags: all,
        no_flags: no,
        modes: vec![],
        states: vec![],
        module: module.parse().unwrap(),
    }
}

fn template(branches: Vec<Branch>) -> Template {
    Template {
        id: "t".parse().unwrap(),
        mode: SafetyMode::Normal,
        engines: vec![],
        modules: vec!["m".parse().unwrap(), "n".parse().unwrap()],
        branches,
    }
}

fn with_input<T>(
    template: &Template,
    flags: SafetyFlags,
    state: State,
    narrowing: &Narrowing,
    run: impl FnOnce(&PipelineInput<'_>) -> T,
) -> T {
    let intent = intent(kind("k", CapabilityTier::Act), &[]);
    let consensus = Consensus::NONE.with(LayerId::Safety, Vote::Agree);
    run(&PipelineInput { intent: &intent, template, flags, state, narrowing, consensus })
}

const NONE: SafetyFlags = SafetyFlags::NONE;

/// IRM-4.7.2, IRM-4.7.5
///
/// IRM-4.7.1, IRM-4.7.3.
#[test]
fn the_branch_that_holds_is_the_path() {
    let template = template(vec![
        branch("outside", SafetyFlags::EXTERNAL, NONE, "m"),
        branch("inside", NONE, SafetyFlags::EXTERNAL, "n"),
    ]);
    let narrowing = Narrowing::default();
    for (flags, name, module) in [(NONE, "inside", "n"), (SafetyFlags::EXTERNAL, "outside", "m")] {
        with_input(&template, flags, State::Base, &narrowing, |input| {
            let path = PathPlanner.plan(input).unwrap();
            assert_eq!((path.branch().as_str(), path.module().as_str()), (name, module));
            assert_eq!(path.mode(), SafetyMode::Normal);
            assert_eq!(path.fits(input), Ok(()));
            assert_eq!(input.eliminations().count(), 1);
        });
    }
}

/// IRM-3.3.5, IRM-7.8: several left is a halt that names them.
#[test]
fn several_left_is_a_halt() {
    let template = template(vec![
        branch("a", NONE, NONE, "m"),
        branch("b", SafetyFlags::EXTERNAL, NONE, "m"),
        branch("c", NONE, NONE, "n"),
    ]);
    with_input(&template, NONE, State::Base, &Narrowing::default(), |input| {
        let reason = PathPlanner.plan(input).unwrap_err();
        assert_eq!(reason.to_string(), "pipeline.branch [t]: branches `a`, `c` all remain");
    });
}

/// IRM-7.6: none left is a halt that says why each one went.
///
/// IRM-3.4.1.
#[test]
fn none_left_is_a_halt() {
    let mut read = branch("read", NONE, SafetyFlags::BULK, "m");
    read.modes = vec![SafetyMode::ReadOnly];
    let mut base = branch("base", NONE, NONE, "n");
    base.states = vec![State::Base];
    let template = template(vec![
        branch("outside", SafetyFlags::EXTERNAL, NONE, "m"),
        branch("one", NONE, SafetyFlags::BULK, "m"),
        read,
        base,
        branch("gone", SafetyFlags::BULK, NONE, "n"),
    ]);
    let narrowing =
        Narrowing { exclude_modules: vec!["n".parse().unwrap()], ..Narrowing::default() };
    with_input(&template, SafetyFlags::BULK, State::Verified, &narrowing, |input| {
        let reason = PathPlanner.plan(input).unwrap_err();
        assert_eq!(reason.code, ReasonCode::BranchUnresolved);
        assert_eq!(
            &*reason.detail,
            "no branch remains: `outside`: flags external are not set; `one`: flags bulk are \
             set; `read`: flags bulk are set; `base`: not for state VERIFIED; `gone`: module \
             `n` is excluded"
        );
        assert_eq!(input.eliminations().count(), 5);
    });
}

/// IRM-3.2.3.
#[test]
fn a_required_engine_must_have_agreed() {
    let mut template = template(vec![branch("a", NONE, NONE, "m")]);
    template.engines = vec![LayerId::Safety];
    let narrowing = Narrowing::default();
    with_input(&template, NONE, State::Base, &narrowing, |input| {
        assert!(PathPlanner.plan(input).is_ok());
    });
    template.engines.push(LayerId::Modeling);
    with_input(&template, NONE, State::Base, &narrowing, |input| {
        let reason = PathPlanner.plan(input).unwrap_err();
        assert_eq!(reason.code, ReasonCode::EngineMissing);
        assert_eq!(&*reason.detail, "Modeling must agree, votes are ....+...");
    });
}

/// IRM-3.3.2: the mode is the strictest that anybody asked for.
#[test]
fn modes_only_get_stricter() {
    let mut template = template(vec![branch("a", NONE, NONE, "m")]);
    let dropped = Narrowing { drop_arguments: vec!["x".into()], ..Narrowing::default() };
    let read_only = Narrowing { read_only: true, ..Narrowing::default() };
    for (own, narrowing, mode) in [
        (SafetyMode::Normal, Narrowing::default(), SafetyMode::Normal),
        (SafetyMode::Normal, dropped.clone(), SafetyMode::Protected),
        (SafetyMode::Normal, read_only.clone(), SafetyMode::ReadOnly),
        (SafetyMode::ReadOnly, dropped, SafetyMode::ReadOnly),
        (SafetyMode::Protected, read_only, SafetyMode::ReadOnly),
    ] {
        template.mode = own;
        with_input(&template, NONE, State::Base, &narrowing, |input| {
            assert_eq!(PathPlanner.plan(input).map(|path| path.mode()), Ok(mode));
        });
    }
}

/// IRM-3.2.4: what the row does not allow is not run, checked template or not.
#[test]
fn a_module_outside_the_row_is_a_halt() {
    let template = template(vec![branch("a", NONE, NONE, "other")]);
    with_input(&template, NONE, State::Base, &Narrowing::default(), |input| {
        let reason = PathPlanner.plan(input).unwrap_err();
        assert_eq!(reason.code, ReasonCode::ModuleNotAllowed);
    });
}

#[test]
fn a_foreign_engine_mints_only_paths_of_the_template() {
    let mut template = template(vec![branch("a", SafetyFlags::BULK, NONE, "m")]);
    template.mode = SafetyMode::Protected;
    let own = template.branches[0].clone();
    let single = |branch: &Branch, mode| ExecutionPath::single(&template, branch, mode);
    let foreign = branch("a", NONE, NONE, "m");
    assert!(matches!(single(&foreign, SafetyMode::Protected), Err(PathError::Foreign { .. })));
    let lax = single(&own, SafetyMode::Normal).unwrap_err();
    assert_eq!(
        lax.to_string(),
        "expected a mode of protected or stricter for template `t`, found normal"
    );
    let path = single(&own, SafetyMode::Protected).unwrap();
    let fits = |flags, narrowing: &Narrowing| {
        with_input(&template, flags, State::Base, narrowing, |input| path.fits(input))
    };
    assert_eq!(fits(SafetyFlags::BULK, &Narrowing::default()), Ok(()));
    for (flags, narrowing, code) in [
        (NONE, Narrowing::default(), ReasonCode::BranchUnresolved),
        (
            SafetyFlags::BULK,
            Narrowing { read_only: true, ..Narrowing::default() },
            ReasonCode::BranchUnresolved,
        ),
        (
            SafetyFlags::BULK,
            Narrowing { exclude_modules: vec!["m".parse().unwrap()], ..Narrowing::default() },
            ReasonCode::ModuleNotAllowed,
        ),
    ] {
        assert_eq!(fits(flags, &narrowing).unwrap_err().code, code);
    }
}

#[test]
fn templates_are_checked() {
    let check = |branches| template(branches).check().unwrap_err();
    assert!(matches!(check(vec![]), TemplateError::Count { found: 0, .. }));
    let twice =
        vec![branch("a", SafetyFlags::BULK, NONE, "m"), branch("a", NONE, SafetyFlags::BULK, "m")];
    assert!(matches!(check(twice), TemplateError::Duplicate { .. }));
    let module = check(vec![branch("a", NONE, NONE, "x")]);
    assert!(matches!(module, TemplateError::Module { .. }));
    let dead = check(vec![branch("a", SafetyFlags::BULK, SafetyFlags::BULK, "m")]);
    assert!(matches!(dead, TemplateError::Dead { .. }));
    let mut lax = branch("a", NONE, NONE, "m");
    lax.modes = vec![SafetyMode::Normal];
    let mut strict = template(vec![lax]);
    strict.mode = SafetyMode::Protected;
    assert!(matches!(strict.check(), Err(TemplateError::Dead { .. })));
    strict.mode = SafetyMode::Normal;
    assert_eq!(strict.check(), Ok(()));
    strict.engines = vec![LayerId::Execution];
    assert!(matches!(strict.check(), Err(TemplateError::Engine { .. })));
}

/// IRM-6.5, IRM-4.7.5: the bytes of a path, as records hold them.
#[test]
fn the_bytes_of_a_path_are_fixed() {
    let template = template(vec![branch("a", NONE, NONE, "m")]);
    let path =
        ExecutionPath::single(&template, &template.branches[0], SafetyMode::ReadOnly).unwrap();
    assert_eq!(path.to_canonical(), b"\x01\0\0\0t\x01\0\0\0a\x01\0\0\0m\x02");
    assert_eq!(
        template.to_canonical(),
        b"\x01\0\0\0t\0\0\0\0\0\x02\0\0\0\x01\0\0\0m\x01\0\0\0n\x01\0\0\0\
          \x01\0\0\0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0m"
    );
}

/// Three flags are enough to tell every case of two conditions on a flag apart.
const FLAGS: [SafetyFlags; 3] =
    [SafetyFlags::EFFECT, SafetyFlags::EXTERNAL, SafetyFlags::FINANCIAL];

fn flag_set(bits: u8) -> SafetyFlags {
    let set = FLAGS.iter().enumerate().filter(|(i, _)| bits & (1 << i) != 0);
    set.fold(NONE, |all, (_, flag)| all.union(*flag))
}

fn any_branch() -> impl Strategy<Value = Branch> {
    let modes = proptest::sample::subsequence(MODES.to_vec(), 0..=3);
    let states = proptest::sample::subsequence(State::ALL.to_vec(), 0..=3);
    ("[a-f]", 0..8_u8, 0..8_u8, modes, states, "[mnx]").prop_map(
        |(id, all, no, modes, states, module)| Branch {
            modes,
            states,
            ..branch(&id, flag_set(all), flag_set(no & !all), &module)
        },
    )
}

fn any_template() -> impl Strategy<Value = Template> {
    let mode = proptest::sample::select(MODES.to_vec());
    (mode, proptest::collection::vec(any_branch(), 1..5))
        .prop_map(|(mode, branches)| Template { mode, ..template(branches) })
}

/// A branch's condition, read off its documentation word by word.
fn naive_holds(branch: &Branch, flags: SafetyFlags, mode: SafetyMode, state: State) -> bool {
    let mut holds = true;
    for flag in FLAGS {
        if branch.all_flags.contains(flag) && !flags.contains(flag) {
            holds = false;
        }
        if branch.no_flags.contains(flag) && flags.contains(flag) {
            holds = false;
        }
    }
    if !branch.modes.is_empty() && !branch.modes.contains(&mode) {
        holds = false;
    }
    if !branch.states.is_empty() && !branch.states.contains(&state) {
        holds = false;
    }
    holds
}

/// Elimination agrees with counting the branches that hold.
pub(super) fn elimination_is_counting(
    template: &Template,
    flags: SafetyFlags,
    state: State,
    narrowing: &Narrowing,
) {
    let mode = match (narrowing.read_only, narrowing.is_empty()) {
        (true, _) => SafetyMode::ReadOnly,
        (false, true) => template.mode,
        (false, false) => template.mode.max(SafetyMode::Protected),
    };
    let left: Vec<_> = template
        .branches
        .iter()
        .filter(|b| naive_holds(b, flags, mode, state))
        .filter(|b| !narrowing.exclude_modules.contains(&b.module))
        .collect();
    with_input(template, flags, state, narrowing, |input| {
        match (PathPlanner.plan(input), &*left) {
            (Ok(path), [one]) => {
                assert_eq!((path.branch(), path.module()), (&one.id, &one.module));
                assert!(template.modules.contains(&one.module));
                assert_eq!(path.mode(), mode);
            }
            (Err(reason), [one]) => {
                assert_eq!(reason.code, ReasonCode::ModuleNotAllowed);
                assert!(!template.modules.contains(&one.module));
            }
            (Err(reason), _) => assert_eq!(reason.code, ReasonCode::BranchUnresolved),
            (Ok(path), _) => panic!("planned {path:?} of {} branches left", left.len()),
        }
    });
}

/// `check` finds an overlap exactly when trying every combination does.
pub(super) fn the_proof_is_exhaustive(template: &Template) {
    let mut overlap = false;
    for bits in 0..8 {
        for mode in MODES.into_iter().filter(|mode| *mode >= template.mode) {
            for state in State::ALL {
                let holds = |b: &&Branch| naive_holds(b, flag_set(bits), mode, state);
                overlap |= template.branches.iter().filter(holds).count() > 1;
            }
        }
    }
    match template.check() {
        Ok(()) => assert!(!overlap),
        Err(TemplateError::Overlap { first, second, witness, .. }) => {
            assert!(overlap);
            for id in [first, second] {
                let named = template.branches.iter().find(|b| b.id == id).unwrap();
                assert!(naive_holds(named, witness.flags, witness.mode, witness.state));
            }
        }
        Err(_) => {}
    }
}

proptest! {
    /// IRM-4.7.2
    #[test]
    fn elimination_matches_the_reference(
        template in any_template(),
        bits in 0..8_u8,
        state in proptest::sample::select(State::ALL.to_vec()),
        read_only: bool,
        drop_one: bool,
        exclude in proptest::sample::subsequence(vec!["m", "n"], 0..=2),
    ) {
        let narrowing = Narrowing {
            drop_arguments: if drop_one { vec!["x".into()] } else { vec![] },
            exclude_modules: exclude.iter().map(|m| m.parse().unwrap()).collect(),
            read_only,
        };
        elimination_is_counting(&template, flag_set(bits), state, &narrowing);
    }

    /// IRM-3.3.5
    #[test]
    fn determinism_is_proved_as_by_trying(mut template in any_template()) {
        for (number, branch) in template.branches.iter_mut().enumerate() {
            branch.id = number.to_string().parse().unwrap();
            branch.module = "m".parse().unwrap();
        }
        the_proof_is_exhaustive(&template);
    }
}
