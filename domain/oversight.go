package domain

// RecordRule is what is kept of the calls of an endpoint, beside the fact that they were made.
type RecordRule string

// The rules.
const (
	RecordNone   RecordRule = "none"
	RecordBodies RecordRule = "bodies" // what was sent, and what came back
)

// ApprovalRule is which calls of an endpoint need somebody's approval.
type ApprovalRule string

// The rules.
const (
	ApproveNever  ApprovalRule = "never"
	ApproveWrites ApprovalRule = "writes" // that may change something
	ApproveAlways ApprovalRule = "always"
)
