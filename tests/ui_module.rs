//! What a program that breaks a Module Contract is told by the compiler (PLAN-3.6).

#[test]
fn a_broken_contract_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/module/fail_*.rs");
    // A passing case makes the cases be built, not only checked: constants are then
    // evaluated for every type they are used with.
    cases.pass("tests/ui/module/pass.rs");
}
