package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// accepted are the SPDX identifiers of the licences that may be linked.
var accepted = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "Unicode-DFS-2016"}

// longText is a licence whose text is known by its digest: the words from begin to end, both included.
type longText struct {
	id, begin, end, sha256 string
}

var longTexts = []longText{
	// https://www.apache.org/licenses/LICENSE-2.0.txt
	{"Apache-2.0", "1 definitions license shall mean", "end of terms and conditions",
		"83d450e65487bded604e316138d44bad29b2370fe89c4bea8a4c8bb6427ae8e1"},
	// https://www.mozilla.org/media/MPL/2.0/index.txt
	{"MPL-2.0", "1 definitions 1 1 contributor", "as defined by the mozilla public license v 2 0",
		"c0f855aacb6ac1c86bcdd1334db61014d14898798ae14888fea5446cbb9d32e3"},
}

// shortText is a licence whose text has places for names.
type shortText struct {
	id   string
	text *regexp.Regexp
}

const (
	mitGrant = `permission is hereby granted free of charge to any person obtaining a copy of this software and ` +
		`associated documentation files the software to deal in the software without restriction including without ` +
		`limitation the rights to use copy modify merge publish distribute sublicense and or sell copies of the ` +
		`software and to permit persons to whom the software is furnished to do so subject to the following conditions`
	mitNotice = `the above copyright notice and this permission notice shall be included in all copies or substantial ` +
		`portions of the software`
	mitWarranty = `the software is provided as is without warranty of any kind express or implied including but not ` +
		`limited to the warranties of merchantability fitness for a particular purpose and noninfringement in no event ` +
		`shall the authors or copyright holders be liable for any claim damages or other liability whether in an action ` +
		`of contract tort or otherwise arising from out of or in connection with the software or the use or other ` +
		`dealings in the software`

	bsdGrant = `redistribution and use in source and binary forms with or without modification are permitted provided ` +
		`that the following conditions are met`
	bsdSource = `redistributions of source code must retain the above copyright notice this list of conditions and the ` +
		`following disclaimer`
	bsdBinary = `redistributions in binary form must reproduce the above copyright notice this list of conditions and ` +
		`the following disclaimer in the documentation and or other materials provided with the distribution`
	bsdNames = `neither the names? of (?:\w+ ){1,10}?nor the names of (?:its|their) contributors may be used to endorse ` +
		`or promote products derived from this software without specific prior written permission`
	bsdWarranty = `this software is provided by (?:\w+ ){1,10}?as is and any express or implied warranties including but ` +
		`not limited to the implied warranties of merchantability and fitness for a particular purpose are disclaimed ` +
		`in no event shall (?:\w+ ){1,10}?be liable for any direct indirect incidental special exemplary or ` +
		`consequential damages including but not limited to procurement of substitute goods or services loss of use ` +
		`data or profits or business interruption however caused and on any theory of liability whether in contract ` +
		`strict liability or tort including negligence or otherwise arising in any way out of the use of this software ` +
		`even if advised of the possibility of such damage`

	iscText = `permission to use copy modify and or distribute this software for any purpose with or without fee is ` +
		`hereby granted provided that the above copyright notice and this permission notice appear in all copies the ` +
		`software is provided as is and (?:\w+ ){1,10}?disclaims all warranties with regard to this software including ` +
		`all implied warranties of merchantability and fitness in no event shall (?:\w+ ){1,10}?be liable for any ` +
		`special direct indirect or consequential damages or any damages whatsoever resulting from loss of use data or ` +
		`profits whether in an action of contract negligence or other tortious action arising out of or in connection ` +
		`with the use or performance of this software`

	apacheNotice = `licensed under the apache license version 2 0 the license you may not use this file except in ` +
		`compliance with the license you may obtain a copy of the license at https? www apache org licenses license 2 0 ` +
		`unless required by applicable law or agreed to in writing software distributed under the license is ` +
		`distributed on an as is basis without warranties or conditions of any kind either express or implied see the ` +
		`license for the specific language governing permissions and limitations under the license`
)

// The clauses of BSD licences may be numbered.
const number = `(?: \d)? `

var shortTexts = []shortText{
	{"MIT", regexp.MustCompile(mitGrant + " " + mitNotice + " " + mitWarranty)},
	{"BSD-3-Clause", regexp.MustCompile(bsdGrant + number + bsdSource + number + bsdBinary + number + bsdNames + " " +
		bsdWarranty)},
	{"BSD-2-Clause", regexp.MustCompile(bsdGrant + number + bsdSource + number + bsdBinary + " " + bsdWarranty)},
	{"ISC", regexp.MustCompile(iscText)},
}

// furniture is what may stand around a licence: its title, and how Apache's is to be used.
var furniture = []*regexp.Regexp{
	regexp.MustCompile(`apache license version 2 0 january 2004 https? www apache org licenses terms and conditions for ` +
		`use reproduction and distribution`),
	regexp.MustCompile(`appendix how to apply the apache license to your work to apply the apache license to your work ` +
		`attach the following boilerplate notice with the fields enclosed by brackets replaced with your own identifying ` +
		`information don t include the brackets the text should be enclosed in the appropriate comment syntax for the ` +
		`file format we also recommend that a file or class name and description of purpose be included on the same ` +
		`printed page as the copyright notice for easier identification within third party archives`),
	regexp.MustCompile(apacheNotice),
	regexp.MustCompile(`mozilla public license version 2 0`),
	regexp.MustCompile(`(?:the )?mit license(?: mit| expat)?`),
	regexp.MustCompile(`bsd [23] clause license|isc license`),
	regexp.MustCompile(`all rights reserved`),
}

var (
	word          = regexp.MustCompile(`[a-z0-9]+`)
	copyrightLine = regexp.MustCompile(`(?m)^\W*(?:Portions )?[Cc]opyright:?\s*(?:\([cC]\)|©|[0-9]{4}|[A-Z\[{]).*$`)
)

// recognise returns the SPDX identifiers of the licences in a text. Every word has to belong to an accepted licence, its
// title or a line about copyright, so that nobody adds a condition unseen.
func recognise(text string) ([]string, error) {
	words := strings.Join(word.FindAllString(strings.ToLower(copyrightLine.ReplaceAllString(text, "")), -1), " ")
	if strings.Contains(words, "business source license") {
		return nil, errors.New("it is the Business Source License, which is no open-source licence")
	}
	var found []string
	for _, l := range longTexts {
		if rest, ok := l.remove(words); ok {
			words, found = rest, append(found, l.id)
		}
	}
	for _, s := range shortTexts {
		if s.text.MatchString(words) {
			words, found = s.text.ReplaceAllString(words, ""), append(found, s.id)
		}
	}
	for _, f := range furniture {
		words = f.ReplaceAllString(words, "")
	}
	if words = strings.Join(strings.Fields(words), " "); words != "" {
		return nil, fmt.Errorf("it is not recognised, at %.100q", words)
	}
	if len(found) == 0 {
		return nil, errors.New("it holds no licence")
	}
	return found, nil
}

// remove takes the licence out of the words, if it is there to the letter.
func (l longText) remove(words string) (rest string, ok bool) {
	before, after, ok := strings.Cut(words, l.begin)
	if !ok {
		return words, false
	}
	i := strings.LastIndex(after, l.end)
	if i < 0 {
		return words, false
	}
	sum := sha256.Sum256([]byte(l.begin + after[:i] + l.end))
	if hex.EncodeToString(sum[:]) != l.sha256 {
		return words, false
	}
	return before + after[i+len(l.end):], true
}
