//! A token that Governance did not issue (D-28).

fn forge(mint: &prospera::governance::TokenMint, claims: prospera::governance::TokenClaims) {
    let _ = mint.issue(claims);
}

fn main() {}
