package signalcli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/entsignal/signalbus/entsignal"
)

// selection holds the names that the user gave.
type selection struct {
	names   []string // none: all
	exclude []string
}

// checkEmpty rejects names that are all excluded.
func (s selection) checkEmpty() error {
	if len(s.names) == 0 {
		return nil
	}
	for _, name := range s.names {
		if !slices.Contains(s.exclude, name) {
			return nil
		}
	}
	return fmt.Errorf("nothing to flush: --exclude excludes every named signal")
}

// choose returns the selected signals. It fails if a name is unknown, or if
// --exclude leaves nothing.
func (s selection) choose(infos []entsignal.Info) ([]entsignal.Info, error) {
	known := make([]string, len(infos))
	for i, info := range infos {
		known[i] = info.Name
	}
	for _, name := range slices.Concat(s.names, s.exclude) {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown signal %q%s; known: %s", name, didYouMean(name, known), strings.Join(known, ", "))
		}
	}
	var chosen []entsignal.Info
	for _, info := range infos {
		if (len(s.names) == 0 || slices.Contains(s.names, info.Name)) && !slices.Contains(s.exclude, info.Name) {
			chosen = append(chosen, info)
		}
	}
	if len(chosen) == 0 && len(s.exclude) > 0 {
		return nil, fmt.Errorf("nothing to flush: --exclude excludes all signals: %s", strings.Join(known, ", "))
	}
	return chosen, nil
}

// options returns the selection as options for the bus.
func (s selection) options() []entsignal.FlushOption {
	var opts []entsignal.FlushOption
	if len(s.names) > 0 {
		opts = append(opts, entsignal.Only(s.names...))
	}
	if len(s.exclude) > 0 {
		opts = append(opts, entsignal.Exclude(s.exclude...))
	}
	return opts
}

// didYouMean returns a hint with the nearest known name, or nothing if none is
// near.
func didYouMean(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// nearest returns the known name that is most similar to name, ignoring case, or ""
// if none is.
func nearest(name string, known []string) string {
	name = strings.ToLower(name)
	best, least := "", max(2, len(name)/3)+1
	for _, k := range known {
		if d := distance(name, strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best != "" || len(name) < 3 {
		return best
	}
	for _, k := range known { // someone who types "audit" for AuditLogged
		if strings.Contains(strings.ToLower(k), name) {
			return k
		}
	}
	return ""
}

// distance returns how many letters to insert, delete or replace to turn a into b
// (Levenshtein).
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range to {
			cost := diagonal
			if x != y {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}
