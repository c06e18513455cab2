/**
 * Preparation of user names and passwords after PRECIS: RFC 8265 `UsernameCaseMapped` and `OpaqueString`, from what a
 * JavaScript engine knows of Unicode. Where RFC 8264 wants tables that engines do not have (derived properties of single
 * code points, contextual rules) the rules here are stricter, never laxer.
 *
 * @internal
 */

/** Code points of a user name. */
export const maxUsername = 128
/** UTF-16 units of a password: beyond it nothing is normalised, let alone hashed. */
export const maxPassword = 1024

const fullOrHalfWidth = /[\uFF01-\uFFEE]/gu
// IdentifierClass: letters, marks, decimal digits, and visible ASCII.
const identifier = /^[\p{L}\p{M}\p{Nd}\u0021-\u007E]+$/u
const ignorable = /\p{Default_Ignorable_Code_Point}/u
const leadingMark = /^\p{M}/u
const rightToLeft =
  /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Samaritan}\p{Script=Mandaic}]/u
const leftToRight =
  /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Armenian}\p{Script=Georgian}\p{Script=Devanagari}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}]/u
// Scripts whose letters are taken for one another.
const confusable = [/\p{Script=Latin}/u, /\p{Script=Greek}/u, /\p{Script=Cyrillic}/u, /\p{Script=Armenian}/u]
const surrogate = /\p{Surrogate}/u

/**
 * The form of a user name that is stored and compared, or `undefined` when it is none: full-width forms become their
 * usual ones, upper case becomes lower case, then NFC. Refused: nothing or more than 128 code points, white space, controls, invisible
 * characters, symbols outside ASCII, characters that Unicode keeps for compatibility only, unpaired surrogates, a combining
 * mark at the beginning, right-to-left letters mixed with left-to-right ones, and letters of Latin, Greek, Cyrillic and
 * Armenian in one name. A whole name that looks like another (Cyrillic `сосо` and Latin `coco`) is another name.
 *
 * @internal
 */
export const username = (input: string): string | undefined => {
  if (input.length === 0 || input.length > 2 * maxUsername || surrogate.test(input)) return undefined
  const name = input.replace(fullOrHalfWidth, (c) => c.normalize("NFKC")).toLowerCase().normalize("NFC")
  if ([...name].length > maxUsername || !identifier.test(name) || ignorable.test(name) || leadingMark.test(name)) {
    return undefined
  }
  if (name.normalize("NFKC") !== name) return undefined
  if (rightToLeft.test(name) && leftToRight.test(name)) return undefined
  if (confusable.filter((script) => script.test(name)).length > 1) return undefined
  return name
}

/**
 * The form of a password that is hashed, or `undefined` when it is none: every space becomes U+0020, then NFC; case and
 * everything else stay. Refused: nothing, more than 1,024 UTF-16 units, controls, unpaired surrogates.
 *
 * @internal
 */
export const password = (input: string): string | undefined => {
  if (input.length === 0 || input.length > maxPassword || surrogate.test(input) || /\p{Cc}/u.test(input)) {
    return undefined
  }
  return input.replace(/\p{Zs}/gu, " ").normalize("NFC")
}
