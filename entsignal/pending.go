package entsignal

// PendingCount is the number of pending signals of one type.
type PendingCount struct {
	Name  string `json:"name"`
	Count int    `json:"count"` // all of them
	// Of these, with mixin.Retry, how many have failed and wait for their next
	// attempt, and how many are dead. All others may be sent.
	Waiting int `json:"waiting,omitempty"`
	Dead    int `json:"dead,omitempty"`
}

// Due returns how many of the signals a flush may send now: all but those that
// wait and those that are dead.
func (c PendingCount) Due() int { return c.Count - c.Waiting - c.Dead }
