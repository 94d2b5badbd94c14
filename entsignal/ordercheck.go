package entsignal

// OrderCheck tells whether FlushOrdered of a signal is strict.
type OrderCheck struct {
	Name    string      `json:"name"`     // the signal's
	OrderBy []OrderTerm `json:"order_by"` // as in [Info]
	// OrderKey is the field whose values are ordered apart, if there is one.
	OrderKey string `json:"order_key,omitempty"`
	// Strict says that each signal is sent before all those with higher ids
	// (of the same key, if it has an OrderKey), also if its transaction is the last one to commit. It holds for signals
	// that draw their id when they are inserted, and while only FlushOrdered
	// sends them.
	Strict bool `json:"strict"`
	// Reason says why it isn't strict; it is empty if it is. FlushOrdered then
	// orders what is committed when it looks.
	Reason string `json:"reason,omitempty"`
}
