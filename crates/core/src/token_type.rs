//! The types of tokens: what sort of thing one stands for.

use std::fmt;

/// What sort of thing a token stands for; independent of the entity's own type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TokenType {
    /// `undefined`
    #[default]
    Undefined,
    /// `object`
    Object,
    /// `event`
    Event,
    /// `state`
    State,
    /// `process`
    Process,
    /// `concept`
    Concept,
    /// `relation`
    Relation,
    /// `pattern`
    Pattern,
    /// `rule`
    Rule,
    /// `goal`
    Goal,
    /// `memory`
    Memory,
    /// `sensor`
    Sensor,
    /// `actuator`
    Actuator,
    /// `controller`
    Controller,
    /// `buffer`
    Buffer,
    /// `reserved`
    Reserved,
}

impl TokenType {
    /// All types, in the order of their ordinals.
    pub const ALL: [Self; 16] = [
        Self::Undefined,
        Self::Object,
        Self::Event,
        Self::State,
        Self::Process,
        Self::Concept,
        Self::Relation,
        Self::Pattern,
        Self::Rule,
        Self::Goal,
        Self::Memory,
        Self::Sensor,
        Self::Actuator,
        Self::Controller,
        Self::Buffer,
        Self::Reserved,
    ];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Object => "object",
            Self::Event => "event",
            Self::State => "state",
            Self::Process => "process",
            Self::Concept => "concept",
            Self::Relation => "relation",
            Self::Pattern => "pattern",
            Self::Rule => "rule",
            Self::Goal => "goal",
            Self::Memory => "memory",
            Self::Sensor => "sensor",
            Self::Actuator => "actuator",
            Self::Controller => "controller",
            Self::Buffer => "buffer",
            Self::Reserved => "reserved",
        }
    }

    /// The number, 0 to 15, as it stands in the bytes.
    #[must_use]
    pub const fn ordinal(self) -> u8 {
        self as u8
    }

    /// The type with this number, or `None` above 15.
    #[must_use]
    pub fn from_ordinal(ordinal: u8) -> Option<Self> {
        Self::ALL.get(usize::from(ordinal)).copied()
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::TokenType;

    #[test]
    fn ordinals_are_those_of_the_order() {
        for (ordinal, entity_type) in (0..).zip(TokenType::ALL) {
            assert_eq!(
                (entity_type.ordinal(), TokenType::from_ordinal(ordinal)),
                (ordinal, Some(entity_type))
            );
        }
        assert_eq!(TokenType::from_ordinal(16), None);
    }
}
