package domain

import "unicode"

// IsInvisible reports whether a character shows nothing of its own, or changes how others are
// shown: controls, line and paragraph separators, formats such as those that turn the direction of
// a text (Unicode category Cf), variation selectors, and what has no meaning yet. A name with one
// can look like another name. Letters, marks, digits, symbols and the space are visible.
func IsInvisible(r rune) bool {
	return r != ' ' && !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) || unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}
