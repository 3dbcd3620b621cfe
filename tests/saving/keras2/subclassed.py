"""Models of classes of their own, for any Keras: each layer's weights are all one number."""


def models(K):  # noqa: N803
    """By name, functions that make a model, whose layers are built."""
    L, made = K.layers, []

    def dense(number):
        constant = K.initializers.Constant
        layer = L.Dense(2, kernel_initializer=constant(number), bias_initializer=constant(-number))
        made.append(layer)
        return layer

    class Base(K.Model):
        def call(self, x):
            return x

    class Attributes(Base):
        def __init__(self):
            super().__init__()
            self.out, self.a, self._private = dense(1), dense(2), dense(3)
            self.z, self.b, self._last, self.Upper = dense(4), dense(5), dense(6), dense(7)

    class Containers(Base):
        def __init__(self):
            super().__init__()
            self.several = [dense(1), dense(2)]
            self.a_dict = {"z": dense(3), "b": dense(4), "activation": L.ReLU()}
            self.two = (dense(5), self.several[1], dense(6))
            self.a_list = [dense(7), self.a_dict["b"], dense(8)]

    class Appended(Base):
        def __init__(self):
            super().__init__()
            self.queries, self.values = [], []
            self.first = dense(1)
            for i in range(3):
                self.queries.append(dense(10 + i))
                self.values.append(dense(20 + i))
            self.then, self.blocks = dense(2), []
            self.last = dense(3)
            self.blocks.append(dense(4))

    class Reassigned(Base):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.p, self.q = [dense(1)], dense(2), dense(3), [dense(4)]
            self.a, self.q = [dense(5), dense(6)], [*self.q, dense(7)]
            self.b = self.p
            self.r = self.c = dense(8)
            self.r = dense(9)

    class Nested(Base):
        def __init__(self):
            super().__init__()
            self.stack = [{"z": dense(1), "b": [dense(2), dense(3)]}, [dense(4)]]
            self.a = [[dense(5)], (dense(6), {"y": dense(7), "x": dense(8)})]
            self.m = dense(9)
            self.stack = [[self.stack[1][0]], self.stack[0]]

    class Block(L.Layer):
        def __init__(self, number):
            super().__init__()
            self.steps = [dense(number), dense(number + 1)]
            self.entry, self.exit = self.steps[0], dense(number + 2)
            self._hidden = {"b": dense(number + 3), "a": self.exit}

        @property
        def beginning(self):
            return self.steps[1]

        def call(self, x):
            return x

    class Blocks(Base):
        def __init__(self):
            super().__init__()
            self.blocks = [Block(10), Block(20)]
            self.also, self.out = self.blocks[1], Block(30)
            self.layer = self.out.exit

    class Unreached(Base):
        def __init__(self):
            super().__init__()
            self.block = Block(10)
            self.block.more = [[dense(1)]]

    def graph(cls=K.Model, width=3):
        i = K.Input((2,))
        shared = dense(1)
        x = shared(L.ReLU()(dense(2)(i)))
        inner = K.Sequential([K.Input((2,)), dense(3), L.Dropout(0.1), dense(4)])
        for number in range(width):
            x = dense(5 + number)(x)
        return cls(i, shared(inner(x)))

    class Graph(K.Model):
        def __init__(self, *args):
            super().__init__(*args)
            self.extra, self.new, self.again = dense(21), [dense(22)], self.layers[-1]

    class Holder(Base):
        def __init__(self):
            super().__init__()
            self.model, self.body, self.zero = graph(), graph(Graph, 1), dense(30)
            self.net = K.Sequential([dense(31), Block(40), dense(32)])

    class Library(Base):
        def __init__(self):
            super().__init__()
            constant, x = K.initializers.Constant, K.Input((3, 2))
            self.mha = L.MultiHeadAttention(1, 2, kernel_initializer=constant(1))
            self.bi = L.Bidirectional(
                L.LSTM(2, kernel_initializer=constant(2), recurrent_initializer=constant(2.5))
            )
            self.time = L.TimeDistributed(dense(3))
            cells = [
                L.GRUCell(
                    2, kernel_initializer=constant(i), recurrent_initializer=constant(i + 0.5)
                )
                for i in (4, 5)
            ]
            self.rnn = L.RNN(cells)
            for layer in (self.time, self.bi, self.rnn):
                layer(x)
            self.mha(x, x)

    def built(make):
        def of():
            made.clear()
            model = make()
            for layer in made:
                if not layer.built:
                    layer.build((None, 2))
            return model

        return of

    classes = [Attributes, Containers, Appended, Reassigned, Nested, Blocks, Unreached]
    classes += [Holder, Library]
    return {
        **{cls.__name__: built(cls) for cls in classes},
        **{"graph": built(graph), "Graph": built(lambda: graph(Graph))},
    }
