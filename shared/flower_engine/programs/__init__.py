"""What a program author uses, and the programs that Flower brings along."""
