//! The parts of a component as bytes, to be handed from one process to another.

use super::Divided;

impl Divided {
    /// As bytes that [`read`](Self::read) takes.
    pub fn write(&self) -> Vec<u8> {
        let lengths = std::iter::once(&self.code).chain(&self.memories).map(Vec::len);
        let mut written = Vec::with_capacity(lengths.clone().sum::<usize>() + 1024);
        for number in [self.memories.len(), self.variables.len()].into_iter().chain(lengths) {
            written.extend_from_slice(&(number as u64).to_le_bytes());
        }
        self.variables.iter().for_each(|value| written.extend_from_slice(&value.to_le_bytes()));
        std::iter::once(&self.code).chain(&self.memories).for_each(|bytes| written.extend_from_slice(bytes));
        written
    }

    /// What was written. It takes no more memory than the bytes do, whoever wrote them; `None`: they are something else.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut left = bytes;
        let memories = number(&mut left)?;
        let variables = number(&mut left)?;
        // Each has a length before it, and each variable its value.
        if memories > left.len() / 8 || variables > left.len() / 4 {
            return None;
        }
        let code = number(&mut left)?;
        let lengths: Vec<usize> = (0..memories).map(|_| number(&mut left)).collect::<Option<_>>()?;
        let value = |left: &mut &[u8]| Some(i32::from_le_bytes(*left.split_off(..4)?.as_array()?));
        let variables = (0..variables).map(|_| value(&mut left)).collect::<Option<_>>()?;
        let mut part = |length| Some(left.split_off(..length)?.to_vec());
        let code = part(code)?;
        let memories = lengths.into_iter().map(part).collect::<Option<_>>()?;
        left.is_empty().then_some(Self { code, memories, variables })
    }
}

fn number(left: &mut &[u8]) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(*left.split_off(..8)?.as_array()?)).ok()
}
