package ztl

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrDenied is what every [Denial] is: errors.Is(err, ztl.ErrDenied).
var ErrDenied = errors.New("denied")

// ErrClosed says that the guard was closed.
var ErrClosed = errors.New("the guard is closed")

// Reason says why something was denied. It is an error, so that errors.Is(err, ztl.NoActionPermitted) asks for it. The numbers are
// those of ztl.h; a test compares them.
type Reason uint32

// The reasons, as the audit calls them.
const (
	NotJudged          Reason = 0
	Permitted          Reason = 1
	IdentityUnproven   Reason = 2
	IdentityExpired    Reason = 3
	IdentityRevoked    Reason = 4
	ZoneUnknown        Reason = 5
	ZoneMismatch       Reason = 6
	NoFlowPermitted    Reason = 7
	FlowWithdrawn      Reason = 8
	PathAmbiguous      Reason = 9
	NoActionPermitted  Reason = 10
	Forbidden          Reason = 11
	RequirementUnmet   Reason = 12
	EvidenceMissing    Reason = 13
	EvidenceStale      Reason = 14
	Objected           Reason = 15
	AuthorizerFailed   Reason = 16
	ClockUntrusted     Reason = 17
	AuditUnavailable   Reason = 18
	ForwardedUntrusted Reason = 19
	ObligationUnknown  Reason = 20
	LimitExceeded      Reason = 21
	BodyTooLarge       Reason = 22
	BodyUnfit          Reason = 23
	Misdirected        Reason = 24
)

var reasons = [...]string{
	"not_judged", "permitted", "identity_unproven", "identity_expired", "identity_revoked", "zone_unknown", "zone_mismatch",
	"no_flow_permitted", "flow_withdrawn", "path_ambiguous", "no_action_permitted", "forbidden", "requirement_unmet",
	"evidence_missing", "evidence_stale", "objected", "authorizer_failed", "clock_untrusted", "audit_unavailable",
	"forwarded_untrusted", "obligation_unknown", "limit_exceeded", "body_too_large", "body_unfit",
	Misdirected: "misdirected",
}

// Error is the reason as the audit calls it.
func (r Reason) Error() string {
	if int(r) < len(reasons) {
		return reasons[r]
	}
	return "other"
}

var stages = [...]string{"none", "identity", "flow", "action"}

// Lack is which requirement of a rule did not hold. The numbers are those of ztl.h; a test compares them.
type Lack uint32

// What may be lacking.
const (
	LackNone       Lack = 0
	LackToken      Lack = 1
	LackSubject    Lack = 2
	LackActors     Lack = 3
	LackScope      Lack = 4
	LackClaim      Lack = 5
	LackMFA        Lack = 6
	LackTrustScore Lack = 7
	LackZoneTrust  Lack = 8
	LackHeader     Lack = 9
	LackCondition  Lack = 10
	LackAuthorizer Lack = 11
)

// Denial is a decision that says no. For the host's own log: nothing but its ID may be told to the peer.
type Denial struct {
	// Reason says why.
	Reason Reason
	// Lack says which requirement of a rule did not hold, where that was why.
	Lack Lack
	// ID finds the record in the audit; zero where nothing was decided.
	ID [16]byte
	// Stage is the last that was reached: none, identity, flow or action.
	Stage string
	// Rule is the name of the rule that decided, empty where none came near.
	Rule string
	// Message says it in words, where there are any.
	Message string
	// cause is why the guard denied it, where that was not the policy.
	cause error
}

// Unwrap is why the guard denied it itself, such as [RawTargetUnavailable]; nil where the policy did.
func (d *Denial) Unwrap() error { return d.cause }

// Error says what was denied, in words.
func (d *Denial) Error() string {
	if d.Message != "" {
		return d.Message
	}
	text := "denied: " + d.Reason.Error()
	if d.Rule != "" {
		text += fmt.Sprintf(" (rule `%s`)", d.Rule)
	}
	return text + ", decision " + d.Decision()
}

// Decision is the ID as the audit writes it.
func (d *Denial) Decision() string { return hex.EncodeToString(d.ID[:]) }

// Is answers for [ErrDenied] and for the [Reason].
func (d *Denial) Is(target error) bool {
	if reason, ok := target.(Reason); ok {
		return reason == d.Reason
	}
	return target == ErrDenied
}

// Status is what a call of the C library came to, other than a denial. It is an error, so that
// errors.Is(err, ztl.ErrPolicy) asks for it.
type Status int32

// The statuses, as ztl.h numbers them.
const (
	ErrArgument    Status = -2
	ErrUTF8        Status = -3
	ErrPolicy      Status = -4
	ErrAudit       Status = -5
	ErrSystem      Status = -6
	ErrPanic       Status = -7
	ErrBundle      Status = -8
	ErrSVID        Status = -9
	ErrKeys        Status = -10
	ErrToken       Status = -11
	ErrUnsupported Status = -12
	ErrCRL         Status = -13
	// ErrBudget: a token was not looked at, after too many bad ones of this caller.
	ErrBudget Status = -14
)

// Error is the number; the message of an [Error] says more.
func (s Status) Error() string { return fmt.Sprintf("ztl status %d", int32(s)) }

// Error is a call that was refused: nothing was decided, which permits nothing.
type Error struct {
	// Status says what kind it is.
	Status Status
	// Message says it in words.
	Message string
}

// Error says it in words.
func (e *Error) Error() string { return e.Message }

// Unwrap is the status.
func (e *Error) Unwrap() error { return e.Status }
