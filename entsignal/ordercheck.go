package entsignal

// OrderCheck is the result of [Bus.CheckOrder] for one signal type.
type OrderCheck struct {
	Name    string      `json:"name"`     // the signal type
	OrderBy []OrderTerm `json:"order_by"` // as in [Info]
	// OrderKey is the field whose values each have an order of their own; empty if
	// the order is one for all.
	OrderKey string `json:"order_key,omitempty"`
	// Strict means that each signal is sent before all signals with higher ids (of
	// the same key, if the type has an OrderKey), even if its transaction commits
	// last. It holds for signals whose id is drawn when they are inserted, and only
	// while nothing but FlushOrdered sends them.
	Strict bool `json:"strict"`
	// Reason is why the order isn't strict; it is empty if it is. In an order that
	// isn't strict, FlushOrdered sorts only what is committed when it looks.
	Reason string `json:"reason,omitempty"`
	// MissingIndex is a statement that creates an index of the order. It is empty if
	// the table has one that serves. Without such an index each batch of FlushOrdered
	// sorts the whole table.
	MissingIndex string `json:"missing_index,omitempty"`
}
