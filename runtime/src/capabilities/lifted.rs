//! Parameters of guests, lifted no further than their bound. wasmtime's own types copy, check and convert all that a guest hands
//! over before a host function is asked; what lies beyond the bound of one of these costs the host nothing, and no fuel.

#![allow(unsafe_code, reason = "a type that is lifted in another way than wasmtime's own can only be made so")]

use wasmtime::{
    Result, ValRaw, bail,
    component::{
        __internal::{
            CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, wasmtime_environ::component::StringEncoding,
        },
        ComponentType, Lift,
    },
};

/// Set in the length of a string that is in UTF-16, where it could be in Latin-1.
const UTF16_TAG: usize = 1 << 31;

/// The beginning of a `string`: at most `MAX` bytes of its encoding, cut between characters.
pub(super) struct Text<const MAX: usize> {
    pub(super) text: String,
    /// There was more of it.
    pub(super) is_cut: bool,
}

impl<const MAX: usize> Text<MAX> {
    fn lift(cx: &LiftContext<'_>, ptr: usize, len: usize) -> Result<Self> {
        let encoding = match cx.options().string_encoding {
            StringEncoding::CompactUtf16 if len & UTF16_TAG != 0 => StringEncoding::Utf16,
            encoding => encoding,
        };
        let unit = if matches!(encoding, StringEncoding::Utf16) { 2 } else { 1 };
        let bytes = range(cx, ptr, len & !UTF16_TAG, unit, unit)?;
        let is_cut = bytes.len() > MAX;
        // An even number, for whole units.
        let bytes = if is_cut { &bytes[..MAX & !1] } else { bytes };
        let text = match encoding {
            StringEncoding::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            StringEncoding::Utf16 => {
                let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
                char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
            }
            StringEncoding::CompactUtf16 => bytes.iter().copied().map(char::from).collect(),
        };
        Ok(Self { text, is_cut })
    }
}

// SAFETY: what is lowered, and the information on its ABI, are those of `str`, and only a `string` passes the check.
unsafe impl<const MAX: usize> ComponentType for Text<MAX> {
    type Lower = <str as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::POINTER_PAIR;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        <str as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: each lift reads the pair of pointer and length that a `string` is, and checks both against the guest's memory.
unsafe impl<const MAX: usize> Lift for Text<MAX> {
    fn linear_lift_from_flat(cx: &mut LiftContext<'_>, _: InterfaceType, src: &Self::Lower) -> Result<Self> {
        let (ptr, len) = flat_pair(src);
        Self::lift(cx, ptr, len)
    }

    fn linear_lift_from_memory(cx: &mut LiftContext<'_>, _: InterfaceType, bytes: &[u8]) -> Result<Self> {
        let (ptr, len) = stored_pair(bytes)?;
        Self::lift(cx, ptr, len)
    }
}

/// A `list<u8>` of at most `MAX` bytes.
pub(super) enum Octets<const MAX: usize> {
    Within(Vec<u8>),
    /// It has so many.
    TooMany(usize),
}

impl<const MAX: usize> Octets<MAX> {
    fn lift(cx: &LiftContext<'_>, ptr: usize, len: usize) -> Result<Self> {
        let bytes = range(cx, ptr, len, 1, 1)?;
        Ok(if bytes.len() > MAX { Self::TooMany(bytes.len()) } else { Self::Within(bytes.to_vec()) })
    }
}

// SAFETY: what is lowered, and the information on its ABI, are those of `[u8]`, and only a `list<u8>` passes the check.
unsafe impl<const MAX: usize> ComponentType for Octets<MAX> {
    type Lower = <[u8] as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::POINTER_PAIR;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        <[u8] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: each lift reads the pair of pointer and length that a list is, and checks both against the guest's memory.
unsafe impl<const MAX: usize> Lift for Octets<MAX> {
    fn linear_lift_from_flat(cx: &mut LiftContext<'_>, _: InterfaceType, src: &Self::Lower) -> Result<Self> {
        let (ptr, len) = flat_pair(src);
        Self::lift(cx, ptr, len)
    }

    fn linear_lift_from_memory(cx: &mut LiftContext<'_>, _: InterfaceType, bytes: &[u8]) -> Result<Self> {
        let (ptr, len) = stored_pair(bytes)?;
        Self::lift(cx, ptr, len)
    }
}

/// A `list<tuple<string, list<u8>>>` of at most `COUNT` entries, whose keys and values have at most `BYTES` bytes together.
pub(super) enum Entries<const COUNT: usize, const BYTES: usize> {
    Within(Vec<(String, Vec<u8>)>),
    /// It has so many.
    TooMany(usize),
    /// Its keys and values have more bytes: so many, as far as was looked.
    TooLarge(usize),
}

/// What an entry takes of a guest's memory: two pointers, each with its length.
const ENTRY_BYTES: usize = 16;

impl<const COUNT: usize, const BYTES: usize> Entries<COUNT, BYTES> {
    fn lift(cx: &LiftContext<'_>, ptr: usize, len: usize) -> Result<Self> {
        if len > COUNT {
            return Ok(Self::TooMany(len));
        }
        let entries = range(cx, ptr, len, ENTRY_BYTES, 4)?.chunks_exact(ENTRY_BYTES);
        let mut bytes = 0usize;
        let mut lifted = Vec::with_capacity(len);
        for entry in entries {
            let (key, value) = entry.split_at(ENTRY_BYTES / 2);
            let (key_ptr, key_len) = stored_pair(key)?;
            let (value_ptr, value_len) = stored_pair(value)?;
            // In whatever encoding the key is.
            bytes = bytes.saturating_add(key_len & !UTF16_TAG).saturating_add(value_len);
            if bytes > BYTES {
                return Ok(Self::TooLarge(bytes));
            }
            let key = Text::<BYTES>::lift(cx, key_ptr, key_len)?;
            lifted.push((key.text, range(cx, value_ptr, value_len, 1, 1)?.to_vec()));
        }
        Ok(Self::Within(lifted))
    }
}

// SAFETY: what is lowered, and the information on its ABI, are those of a list, and only one of such pairs passes the check.
unsafe impl<const COUNT: usize, const BYTES: usize> ComponentType for Entries<COUNT, BYTES> {
    type Lower = <[(String, Vec<u8>)] as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::POINTER_PAIR;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> Result<()> {
        <[(String, Vec<u8>)] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: each lift reads the pair of pointer and length that a list is, and those of its entries, and checks all of them against the
// guest's memory.
unsafe impl<const COUNT: usize, const BYTES: usize> Lift for Entries<COUNT, BYTES> {
    fn linear_lift_from_flat(cx: &mut LiftContext<'_>, _: InterfaceType, src: &Self::Lower) -> Result<Self> {
        let (ptr, len) = flat_pair(src);
        Self::lift(cx, ptr, len)
    }

    fn linear_lift_from_memory(cx: &mut LiftContext<'_>, _: InterfaceType, bytes: &[u8]) -> Result<Self> {
        let (ptr, len) = stored_pair(bytes)?;
        Self::lift(cx, ptr, len)
    }
}

fn flat_pair(src: &[ValRaw; 2]) -> (usize, usize) {
    (src[0].get_u32() as usize, src[1].get_u32() as usize)
}

fn stored_pair(bytes: &[u8]) -> Result<(usize, usize)> {
    match bytes {
        &[a, b, c, d, e, f, g, h] => {
            Ok((u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]) as usize))
        }
        _ => bail!("a pointer and a length are eight bytes"),
    }
}

/// So many units of a guest's memory, if they are within it and aligned.
fn range<'a>(cx: &LiftContext<'a>, ptr: usize, len: usize, unit: usize, align: usize) -> Result<&'a [u8]> {
    let end = len.checked_mul(unit).and_then(|bytes| ptr.checked_add(bytes));
    match end.and_then(|end| cx.memory().get(ptr..end)) {
        Some(bytes) if ptr.is_multiple_of(align) => Ok(bytes),
        Some(_) => bail!("a pointer is not aligned to what it points to"),
        None => bail!("a pointer and a length are out of bounds of memory"),
    }
}
