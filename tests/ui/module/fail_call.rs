//! A call made up outside the execution room.

use prospera::execution::markers::{state, tier};
use prospera::execution::*;
use prospera::id::LayerId;

struct SendMail;
impl IntentKind for SendMail {
    const ID: &'static str = "mail.send";
    type Tier = tier::Commit;
}

struct ReadMail;
impl IntentKind for ReadMail {
    const ID: &'static str = "mail.read";
    type Tier = tier::Commit;
}

struct Mailer;
impl Module for Mailer {
    const ID: &'static str = "mailer";
    const VERSION: &'static str = "1.0";
    const LAYERS: &'static [LayerId] = &[LayerId::Safety];
    const INTENTS: &'static [&'static str] = &["mail.send"];
    type RequiredState = state::Verified;
    type Tier = tier::Commit;
    type Input<'a> = ();
    type Output = ();

    fn run(&self, (): (), _: &Call<'_>) -> Result<(), ModuleError> {
        Err(ModuleError::NoEffect("a test".into()))
    }

    fn reconcile(&self, _: IdempotencyKey) -> Reconciled {
        Reconciled::Unknown
    }
}
prospera::serves!(Mailer: SendMail);

fn main() {
    let _call = |job: &Job<'_>| {
        let call = Call { job };
        Module::run(&Mailer, (), &call)
    };
}
