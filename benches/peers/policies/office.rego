# examples/office/policy/governance.toml, rule by rule, in Rego. One entry point gives one
# of our five answers, the strictest that matched. Amounts are in cents, minutes count from
# midnight, `*_sources` are the sources of an argument that is there.
package office

import rego.v1

default verdict := "deny"

verdict := "deny" if denied

else := "defer" if deferred

else := "step-up" if asked

else := "modify" if narrowed

else := "allow" if allowed

# look
allowed if input.kind == "calendar.read"

allowed if input.kind == "mail.read"

# appointments
allowed if input.kind == "calendar.add"

# mail-to-whom-the-user-named
allowed if {
	input.kind == "mail.send"
	named_by_the_user
}

# no-blind-copies-after-reading-mail
narrowed if {
	input.kind == "mail.send"
	input.context_outside
	input.bcc_sources
	named_by_the_user
}

# no-mail-where-a-mail-said
denied if {
	input.kind == "mail.send"
	"outside" in input.to_sources
}

# bills-of-known-people
allowed if {
	input.kind == "payment.send"
	input.state in ["VERIFIED", "PRIVILEGED"]
	input.paid <= 4
	input.minute >= 360
	input.minute < 1200
	named_by_the_user
	input.cents <= 150000
}

# large-payments
asked if {
	input.kind == "payment.send"
	input.cents >= 150001
}

# invoice-first
deferred if {
	input.kind == "payment.send"
	not input.invoice_sources
	input.cents >= 40000
}

# no-payment-where-a-mail-said
denied if {
	input.kind == "payment.send"
	"outside" in input.to_sources
}

# passwords-of-the-user
allowed if {
	input.kind == "password.set"
	every source in input.password_sources {
		source == "user"
	}
}

named_by_the_user if {
	every source in input.to_sources {
		source in ["user", "memory"]
	}
}
