package signalcli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/entsignal/signalbus/entsignal"
)

// rememberedSignal is what the file of --state has of a signal type.
type rememberedSignal struct {
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
}

// remembered returns the oldest signals, and since when they are that by what a file
// remembers, which it updates.
func remembered(ctx context.Context, bus *entsignal.Bus, selected selection, file string) ([]entsignal.Oldest, error) {
	known := make(map[string]rememberedSignal)
	switch text, err := os.ReadFile(file); {
	case errors.Is(err, os.ErrNotExist): // the first time
	case err != nil:
		return nil, fmt.Errorf("--state: %w", err)
	default:
		if err := json.Unmarshal(text, &known); err != nil {
			return nil, fmt.Errorf("--state: %s is no file of this command: %w", file, err)
		}
	}
	all, err := bus.Oldest(ctx, selected.options()...)
	if err != nil {
		return nil, err
	}
	for i, o := range all {
		if was, ok := known[o.Signal]; ok && o.ID != "" && !o.Exact && was.ID == o.ID && was.Since.Before(o.Since) {
			all[i].Since = was.Since
		}
		if o.ID == "" {
			delete(known, o.Signal)
		} else {
			known[o.Signal] = rememberedSignal{o.ID, all[i].Since}
		}
	}
	return all, remember(file, known)
}

// remember replaces the file as a whole, so that a check that is killed leaves a
// good one.
func remember(file string, known map[string]rememberedSignal) error {
	text, err := json.Marshal(known)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	_, err = tmp.Write(append(text, '\n'))
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("--state: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}
