package view

import (
	"cmp"
	"slices"
	"strings"

	"github.com/entsignal/signalbus/entsignal"
)

// FailedGroup is the failed signals of a type with the same error.
type FailedGroup struct {
	Name    string `json:"name"`
	Error   string `json:"error"`
	Count   int    `json:"count"`
	Dead    int    `json:"dead"`     // of these
	FirstID string `json:"first_id"` // the lowest
}

// GroupByError returns the groups of each type, the largest first.
func GroupByError(failed []entsignal.FailedSignal) []FailedGroup {
	groups := []FailedGroup{}
	index := make(map[[2]string]int)
	for _, f := range failed {
		key := [2]string{f.Name, f.Error}
		i, ok := index[key]
		if !ok {
			i = len(groups)
			index[key] = i
			groups = append(groups, FailedGroup{Name: f.Name, Error: f.Error, FirstID: f.ID})
		}
		groups[i].Count++
		if f.Dead {
			groups[i].Dead++
		}
	}
	slices.SortStableFunc(groups, func(a, b FailedGroup) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), b.Count-a.Count)
	})
	return groups
}
